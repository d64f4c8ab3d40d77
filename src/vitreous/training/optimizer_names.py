"""The optimizers that can be named, and what they start from where the user says nothing.

Every name of timm's factory works but those that need another package or a second derivative, and `kron`,
whose own random numbers no checkpoint holds. Moment decays and momentum that are not given are the
optimizer's own. The peak learning rate that is not given follows from the batch size b by a rule for the
optimizers that have one:

    as AdamW    2e-3 · √(b / 64), at most 2e-3 (ours); Muon too, as its update is scaled to AdamW's
    SGD         0.1 · b / 256 (Goyal et al. 2017, section 2.1)
    Lion        a tenth of AdamW's (Chen et al. 2023, section 5: 3 to 10 times smaller)
"""

import dataclasses
import inspect
import math
from typing import Any

from timm.optim import get_optimizer_class, list_optimizers  # type: ignore[attr-defined]

from vitreous.errors import ConfigError, did_you_mean
from vitreous.training.recipe import Recipe

MUON = "muon"
LIKE_ADAMW = ("adamw", "adam", "nadam", "nadamw", "radam", "radamw", "cadamw", "cnadamw", MUON)
SGD = ("sgd", "momentum", "nesterov", "sgdw", "nesterovw", "csgdw")
LION = ("lion", "clion")
ELSEWHERE = {
    "bnb": "needs the package bitsandbytes",
    "fused": "needs NVIDIA's package apex; adamw is fused without it",
    "adahessian": "needs second derivatives",
    "kron": "draws random numbers that no checkpoint holds, so a continued run would differ",
}


def usable() -> list[str]:
    """All names that work."""
    return [name for name in map(str, list_optimizers()) if not name.startswith(tuple(ELSEWHERE))]


def check_optimizer(recipe: Recipe) -> None:
    """Look at the name and what is given beside it.

    Raises:
        ConfigError: a name that does not work, or a number that is out of its range.
    """
    name, known = recipe.optimizer, usable()
    if name not in known:
        for start, reason in ELSEWHERE.items():
            if name.startswith(start):
                raise ConfigError(f"recipe.optimizer {name} {reason}; adamw works")
        near = did_you_mean(name, known) or "; adamw, sgd and muon work"
        raise ConfigError(f"recipe.optimizer {name} is unknown{near}")
    own = _own(name, "betas")
    if recipe.betas != "auto" and own is not None and len(own) != len(recipe.betas):
        raise ConfigError(
            f"recipe.betas: {name} takes {len(own)} numbers, {' '.join(map(str, own))} by default"
        )
    if recipe.betas != "auto" and not all(0 <= each < 1 for each in recipe.betas):
        raise ConfigError(f"recipe.betas {' '.join(map(str, recipe.betas))}: 0 or more and below 1 work")
    if recipe.momentum != "auto" and not 0 <= recipe.momentum < 1:
        raise ConfigError(f"recipe.momentum {recipe.momentum}: 0 or more and below 1 work")
    if not 0 < recipe.layer_decay <= 1:
        raise ConfigError(f"recipe.layer_decay {recipe.layer_decay}: above 0 and up to 1 (none) work")
    if not recipe.muon_lr_scale > 0:
        raise ConfigError(f"recipe.muon_lr_scale {recipe.muon_lr_scale}: a number above 0 works")


def choose_moments(recipe: Recipe) -> Recipe:
    """The recipe with the optimizer's own moment decays and momentum where none are given."""
    betas: Any = recipe.betas
    if betas == "auto":
        own = _own(recipe.optimizer, "betas")
        betas = tuple(own) if own is not None and len(own) == 2 else "auto"
    momentum: Any = recipe.momentum
    if momentum == "auto":
        momentum = 0.95 if recipe.optimizer == MUON else 0.9
    return dataclasses.replace(recipe, betas=betas, momentum=momentum)


def peak_lr(name: str, batch_size: int) -> tuple[float, str]:
    """The peak learning rate for a batch size, and why.

    Raises:
        ConfigError: there is no rule for this optimizer.
    """
    if name in SGD:
        return float(f"{0.1 * batch_size / 256:.2g}"), f"0.1 × {batch_size} / 256, for SGD"
    tenth = 10 if name in LION else 1
    if tenth == 1 and name not in LIKE_ADAMW:
        raise ConfigError(f"lr auto: there is no rule for the optimizer {name}; give --lr")
    lr = float(f"{min(2e-3, 2e-3 * math.sqrt(batch_size / 64)) / tenth:.2g}")
    why = f"2e-3 × √({batch_size} / 64), at most 2e-3"
    return lr, why if tenth == 1 else f"a tenth of AdamW's {why}"


def _own(name: str, argument: str) -> Any:
    """The default of an argument of an optimizer, None where it has none."""
    found = inspect.signature(get_optimizer_class(name, bind_defaults=False)).parameters.get(argument)
    return None if found is None else found.default
