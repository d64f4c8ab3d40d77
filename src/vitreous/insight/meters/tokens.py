"""How alike the tokens of an image are, and how many directions they span."""

from typing import Any

from torch import Tensor

from vitreous.analysis.seen import BLOCK, Features
from vitreous.analysis.token_similarity import effective_rank, mean_cosine, neighbour_cosine
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Means, Meter, Setting, trend

NAME = "tokens"
TITLE = "Similarity and rank of tokens"
HOW = (
    "Mean cosine of two patches of an image: raw, and with the mean token of the data taken away. A raw "
    "value near 1 is often one common offset; a centred value near 1 means that patches have become "
    "one. Effective rank counts the directions that an image's tokens span."
)
RANKED = 64


class Tokens(Meter):
    """After each layer; the data's mean token is that of the first batch."""

    kinds = (BLOCK,)

    def __init__(self) -> None:
        self.raw, self.centred, self.near, self.rank = Means(), Means(), Means(), Means()
        self.means: dict[str, Tensor] = {}

    def features(self, seen: Features) -> None:
        """Similarities of one batch."""
        if seen.kind != BLOCK or seen.patches.shape[1] < 2:
            return
        patches = seen.patches.float()
        if seen.name not in self.means:
            self.means[seen.name] = patches.mean(dim=(0, 1))
        mean = self.means[seen.name]
        self.raw.add(seen.name, mean_cosine(patches))
        self.centred.add(seen.name, mean_cosine(patches, mean))
        if seen.grid is not None and max(seen.grid) > 1:
            self.near.add(seen.name, neighbour_cosine(patches, seen.grid, mean))
        left = RANKED - self.rank.counts.get(seen.name, 0)
        if left > 0:
            self.rank.add(seen.name, effective_rank(patches[:left]))

    def finding(self, setting: Setting) -> Finding:
        """By layer."""
        names = self.raw.names
        if not names:
            return Finding({}, "There is only one token, so nothing to compare.")
        found: dict[str, Any] = {
            "layers": names,
            "raw": self.raw.listed(),
            "centred": self.centred.listed(),
            "neighbours_centred": {name: float(self.near.of(name)) for name in self.near.names},
            "effective_rank": self.rank.listed(),
            "images_ranked": min(self.rank.counts.values()),
        }
        x = tuple(range(len(names)))
        lines = tuple(Line(each, x, tuple(found[each])) for each in ("raw", "centred"))
        charts = (
            Lines(title="Cosine of two patches", x="layer (0: what enters)", y="mean cosine", lines=lines),
            Lines(
                title="Effective rank",
                x="layer (0: what enters)",
                y="directions",
                lines=(Line("rank", x, tuple(found["effective_rank"])),),
            ),
        )
        return Finding(
            found,
            f"{trend(found['raw'], 'Raw similarity')}, {trend(found['centred'], 'centred')}.",
            charts,
        )
