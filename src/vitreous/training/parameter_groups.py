"""Which parameters decay, which learn slower, and which are Muon's.

    decays     matrices and kernels. Not: biases and all 1-D parameters, class tokens, position tables (DeiT);
               with `decay_tables` these two do (EIT, the compact transformers)
    share      of the learning rate: d^(L + 1 − l) for layer-wise decay d, with l = 0 for stem, prefix and
               position, l = 1 … L for the layers, l = L + 1 for the head with its norm (Bao et al. 2022,
               BEiT's code; timm's `param_groups_layer_decay` counts that norm to the last layer). A recursion
               is one layer however often it is applied, and so is a pool: l counts places in the config
    hidden     weights of maps between features: linear ones of the layers, and convolutions of layers and
               stem with more than one input channel that do not read the image. Muon is for these (Jordan
               et al. 2024), and not for the first and last maps, tables, depthwise kernels and 1-D parameters

Groups without a difference are the same two, in the same order, as timm's `param_groups_weight_decay` makes.
"""

import re
from typing import Any

from torch import nn

from vitreous.models.vision_transformer import without_decay

LAYER = re.compile(r"layers\.(\d+)\.")
BEFORE = ("stem.", "prefix.", "position.")


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float,
    layer_decay: float = 1.0,
    muon: bool = False,
    decay_tables: bool = False,
) -> list[dict[str, Any]]:
    """Groups of an optimizer over all parameters that are trained.

    Args:
        model: a model of `vitreous.build`.
        weight_decay: of those that decay.
        layer_decay: factor of the learning rate for each layer away from the head, above 0 to 1.
        muon: tell hidden weights from others.
        decay_tables: whether class tokens and position tables decay.

    Returns:
        Groups with `params` and `weight_decay`; `lr_scale` where the share is not 1; with `muon`, timm's
        marks `use_muon` on hidden weights and `use_fallback` on others.
    """
    exempt = without_decay(model)
    depth = len(getattr(model, "layers", ()))
    channels = int(model.config.image.channels) if muon else 0  # type: ignore[arg-type, union-attr]
    groups: dict[tuple[bool, float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = weight_decay > 0 and parameter.ndim > 1 and (decay_tables or name not in exempt)
        share = layer_decay ** (depth + 1 - level(name, depth))
        hidden = muon and is_hidden(name, parameter, channels) and name not in exempt
        group = groups.setdefault(
            (decays, share, hidden),
            {"params": [], "weight_decay": weight_decay if decays else 0.0}
            | ({"lr_scale": share} if share != 1 else {})
            | ({"use_muon" if hidden else "use_fallback": True} if muon else {}),
        )
        group["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def level(name: str, depth: int) -> int:
    """0 before the layers, 1 … depth for the layers, depth + 1 for the head."""
    if name.startswith(BEFORE):
        return 0
    found = LAYER.match(name)
    return int(found[1]) + 1 if found else depth + 1


def is_hidden(name: str, parameter: nn.Parameter, channels: int) -> bool:
    """Whether a weight maps features to features, in a model of images with so many channels."""
    in_stem = name.startswith("stem.") and parameter.ndim == 4 and parameter.shape[1] != channels
    return (in_stem or bool(LAYER.match(name))) and parameter.ndim > 1 and min(parameter.shape[:2]) > 1
