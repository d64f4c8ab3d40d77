"""How alike the maps of layers are, and which could share."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vitreous.analysis.map_similarity import MEASURES, MapSimilarity
from vitreous.analysis.seen import AttentionMap
from vitreous.insight.chart import Chart, Line, Lines, Matrix
from vitreous.insight.meters.meter import (
    MOST_TOKENS,
    Finding,
    MapShape,
    Meter,
    Setting,
    short_name,
    spaced,
)
from vitreous.wording import first_few

NAME = "similar_maps"
TITLE = "Similarity of attention maps between layers"
HOW = (
    "Correlation of every two layers' maps, heads matched; 1 is the same map. PSViT's claim: neighbours "
    "are alike and could share. The other measures (cosine, Jensen–Shannon, total variation) call an "
    "untrained model's flat maps alike, too: read them beside the untrained row only."
)
MOST_LAYERS = 24


class SimilarMaps(Meter):
    """Layers are compared with those of as many tokens and heads, those with a map of their own."""

    maps = True

    def __init__(self) -> None:
        self.here: dict[str, Tensor] = {}
        self.groups: list[tuple[int, int, MapSimilarity]] = []
        self.wanted: set[str] = set()
        self.large: list[str] = []
        self.taken: list[str] = []

    def expect(self, maps: Sequence[MapShape]) -> None:
        """Choose the layers that are compared."""
        names: dict[tuple[int, int], list[str]] = {}
        for each in maps:
            if each.over != "tokens":
                continue
            if each.shared:
                self.taken.append(each.name)
            elif each.tokens > MOST_TOKENS:
                self.large.append(each.name)
            else:
                names.setdefault((each.tokens, each.heads), []).append(each.name)
        for (tokens, heads), of_size in names.items():
            if len(of_size) > 1:
                some = spaced(of_size, MOST_LAYERS)
                self.groups.append((tokens, heads, MapSimilarity(some)))
                self.wanted |= set(some)

    def map(self, seen: AttentionMap) -> None:
        """Kept until the batch is through."""
        if seen.name in self.wanted:
            self.here[seen.name] = seen.dense()

    def batch(self, images: Tensor) -> None:
        """Compare and forget."""
        for _, _, meter in self.groups:
            meter.add([self.here[name] for name in meter.layers])
        self.here.clear()

    def finding(self, setting: Setting) -> Finding:
        """A matrix for each group of layers."""
        if not self.groups:
            why = "there are no two layers with attention of their own over equally many tokens"
            if self.large:
                why = f"maps of more than {MOST_TOKENS:,} tokens are not compared entry by entry"
            elif self.taken:
                why += f", and {self._takers()}"
            return Finding({}, f"Maps cannot be compared: {why}.")
        found: list[dict[str, Any]] = []
        charts: list[Chart] = []
        told = []
        for tokens, heads, meter in self.groups:
            result, names = meter.result(), list(meter.layers)
            matrices = {each: getattr(result, each).tolist() for each in MEASURES}
            found.append(
                {
                    "tokens": tokens,
                    "heads": heads,
                    "layers": names,
                    "images": result.images,
                    "images_apart": result.images_apart,
                    "entropy": result.entropy.tolist(),
                    **matrices,
                    "by_distance": {each: list(result.by_distance(each).values()) for each in MEASURES},
                }
            )
            near = list(result.by_distance("matched").values())
            told.append(
                f"{near[0]:.2f} for neighbours and {near[-1]:.2f} between the outermost "
                f"of {len(names)} layers"
            )
            rows = tuple(tuple(row) for row in result.matched.tolist())
            short = tuple(map(short_name, names))
            charts.append(
                Matrix(
                    title=f"Matched correlation of maps, {tokens} tokens",
                    rows=short,
                    columns=short,
                    values=rows,
                    low=-0.2,
                    high=1.0,
                    x="layer",
                    y="layer",
                )
            )
            if len(near) > 1:
                x = tuple(float(each + 1) for each in range(len(near)))
                lines = tuple(
                    Line(each, x, tuple(result.by_distance(each).values()))
                    for each in ("pearson", "matched", "cosine")
                )
                charts.append(
                    Lines(
                        title=f"By distance of layers, {tokens} tokens",
                        x="layers apart",
                        y="similarity",
                        lines=lines,
                    )
                )
        values: dict[str, Any] = {"groups": found}
        if self.large:
            values["left_out"] = self.large
        if self.taken:
            told.append(self._takers())
            values["taken"] = self.taken
        return Finding(values, f"Matched correlation is {'; '.join(told)}.", tuple(charts))

    def _takers(self) -> str:
        """Who has no map of its own."""
        return f"maps taken from an earlier layer are not compared: {first_few(self.taken, 6)}"
