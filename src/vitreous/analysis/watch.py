"""The one place where models are looked into: forward hooks that are gone when the `with` ends.

    with watch(model, see_features=…, see_map=…, kinds=("block",)):
        model(images)                      what is seen is handed over as it comes, and kept by nobody

`watch_ours` knows the modules of this package, `watch_timm` those of timm's vision transformers and mixers.
What neither knows is refused by name: a recording is whole or not at all. Maps are those of the layer's own
queries and keys, computed beside whatever kernel the layer uses.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from torch import nn

from vitreous.analysis import watch_ours, watch_timm
from vitreous.analysis.seen import BLOCK, KINDS, AttentionMap, Features
from vitreous.errors import ConfigError, did_you_mean
from vitreous.models.fold import FoldedModule
from vitreous.models.vision_transformer import VisionTransformerModule

SeeFeatures = Callable[[Features], None]
SeeMap = Callable[[AttentionMap], None]


@contextlib.contextmanager
def watch(
    model: nn.Module,
    *,
    see_features: SeeFeatures | None = None,
    see_map: SeeMap | None = None,
    kinds: Sequence[str] = (BLOCK,),
) -> Iterator[list[str]]:
    """Hand over features and maps of every pass inside the `with`.

    Args:
        model: what `vitreous.build` or `vitreous.load` returns, a folded model, or a vision transformer or
            mixer of timm.
        see_features: called with each `Features`, in order of computation.
        see_map: called with each `AttentionMap`.
        kinds: which features: `block`, `input`, `mixed`.

    Returns:
        Sentences about what this model has not, such as attention.

    Raises:
        ConfigError: an architecture that is not known here, kinds that do not exist, or a model that cannot
            be watched as it is (compiled, or with checkpoints for the backward pass).
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"features {kind!r}: {', '.join(KINDS)} are{did_you_mean(kind, KINDS)}")
    hooks: list[Callable[[], None]] = []
    inner = backbone(model)
    try:
        if isinstance(inner, VisionTransformerModule):
            yield watch_ours.attach(inner, see_features, see_map, tuple(kinds), hooks)
        else:
            yield watch_timm.attach(inner, see_features, see_map, tuple(kinds), hooks)
    finally:
        for remove in hooks:
            remove()


def layers_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of what `backbone` returns, by name, in order of computation.

    Raises:
        ConfigError: an architecture that is not known here.
    """
    if isinstance(model, VisionTransformerModule):
        return [(f"layers.{number}", each) for number, each in enumerate(model.layers)]
    return watch_timm.blocks_of(model)


def backbone(model: nn.Module) -> nn.Module:
    """The network inside a classifier or a folded model.

    Raises:
        ConfigError: a compiled model, or one that keeps checkpoints: its layers run more than once.
    """
    if hasattr(model, "_orig_mod"):
        raise ConfigError("a compiled model cannot be looked into; give the model that was compiled")
    inner = getattr(model, "model", model)
    if isinstance(inner, FoldedModule):
        inner = inner.model
    if not isinstance(inner, nn.Module) or not isinstance(model, nn.Module):
        raise ConfigError(f"{type(model).__name__} is no torch module; give what vitreous.build returns")
    found = inner if isinstance(inner, VisionTransformerModule) else model
    if (
        any(
            vars(each).get("checkpointing") or vars(each).get("grad_checkpointing")  # getattr is slow here
            for each in found.modules()
        )
        or getattr(getattr(found, "_run", None), "__name__", "") == "_again"
    ):
        raise ConfigError(
            "a model with gradient checkpointing computes its layers again in the backward pass; "
            "set_grad_checkpointing(False) before it is looked into"
        )
    return found
