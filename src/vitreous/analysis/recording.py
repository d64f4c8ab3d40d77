"""A recording of what happens inside a model: every map and every layer's tokens, kept.

    with vt.record(model, attention=True, features="blocks") as r:
        model(images)
    r.features["layers.3"].x      (batch, tokens, width)          r.maps["layers.3"].dense()

For a few images: a map has heads · tokens² values an image. `watch` hands over and keeps nothing, for many.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from vitreous.analysis.seen import BLOCK, AttentionMap, Features
from vitreous.analysis.watch import watch
from vitreous.errors import ConfigError

NAMES = {"blocks": "block", "inputs": "input", "mixed": "mixed"}


@dataclass
class Recording:
    """What was recorded, in the order of computation; of several passes, batches follow one another.

    Args:
        notes: sentences about what the model has not, such as attention.
        seen: all features, of all kinds.
        maps_seen: all maps.
    """

    notes: list[str] = field(default_factory=list)
    seen: list[Features] = field(default_factory=list)
    maps_seen: list[AttentionMap] = field(default_factory=list)

    @property
    def features(self) -> dict[str, Features]:
        """What leaves each layer or turn, by name; `embedding` is what enters the first."""
        return self.of("blocks")

    def of(self, kind: str) -> dict[str, Features]:
        """Features of a kind: `blocks`, `inputs` (what mixers are given) or `mixed` (what they give)."""
        chosen = [each for each in self.seen if each.kind == NAMES[kind]]
        return {name: _joined(of_name) for name, of_name in _by_name(chosen).items()}

    @property
    def maps(self) -> dict[str, AttentionMap]:
        """The map of each layer or turn, by name."""
        return {name: _joined_maps(of_name) for name, of_name in _by_name(self.maps_seen).items()}


@contextlib.contextmanager
def record(
    model: nn.Module, *, attention: bool = True, features: str | Sequence[str] | None = "blocks"
) -> Iterator[Recording]:
    """Record what passes inside the `with` make; the model is as before afterwards.

    Args:
        model: what `vitreous.build` or `vitreous.load` returns, a folded model, or one of timm's vision
            transformers and mixers.
        attention: whether maps are recorded.
        features: `blocks` (what leaves each layer), `inputs` (what each mixer is given, normalised), `mixed`
            (what it gives), several of them, or None.

    Raises:
        ConfigError: an architecture that is not known (named), or a kind of features that does not exist.
    """
    wanted = [features] if isinstance(features, str) else list(features or ())
    for each in wanted:
        if each not in NAMES:
            raise ConfigError(f"features={each!r}: {', '.join(NAMES)} can be recorded")
    recording = Recording()
    with watch(
        model,
        see_features=recording.seen.append if wanted else None,
        see_map=recording.maps_seen.append if attention else None,
        kinds=[NAMES[each] for each in wanted] or [BLOCK],
    ) as notes:
        recording.notes += notes
        yield recording


def _by_name(seen: Sequence[Features] | Sequence[AttentionMap]) -> dict[str, list]:  # type: ignore[type-arg]
    names: dict[str, list] = {}  # type: ignore[type-arg]
    for each in seen:
        names.setdefault(each.name, []).append(each)
    return names


def _joined(seen: list[Features]) -> Features:
    return seen[0] if len(seen) == 1 else replace(seen[0], x=torch.cat([each.x for each in seen]))


def _joined_maps(seen: list[AttentionMap]) -> AttentionMap:
    return seen[0] if len(seen) == 1 else replace(seen[0], weights=torch.cat([each.weights for each in seen]))
