"""How far each head looks, and how much the heads of a layer differ."""

import torch

from vitreous.analysis.head_distance import head_distances, head_spread, uniform_distance
from vitreous.analysis.seen import AttentionMap
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Means, Meter, Setting, trend

NAME = "head_diversity"
TITLE = "Head distance and diversity"
HOW = (
    "How far the heads of a layer look on average, in pixels of the image; diversity is the standard "
    "deviation over the heads. Heads that all look equally far do one job several times. The dotted "
    "level is attention that looks everywhere alike; an untrained model sits on it with a diversity "
    "near 0."
)


class HeadDiversity(Meter):
    """Distances of every head."""

    maps = True

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        self.distances = Means()
        self.uniform: dict[str, float] = {}

    def map(self, seen: AttentionMap) -> None:
        """Distances of one batch."""
        if seen.over != "tokens" or seen.grid is None:
            return
        step = (self.size[0] / seen.grid[0], self.size[1] / seen.grid[1])
        self.distances.add(seen.name, head_distances(seen, step))
        if seen.name not in self.uniform:
            self.uniform[seen.name] = uniform_distance(seen, step)

    def finding(self, setting: Setting) -> Finding:
        """By layer."""
        names = self.distances.names
        if not names:
            return Finding({}, "There are no maps over a grid of tokens, so heads have no distance.")
        distances = [self.distances.of(name) for name in names]
        spreads = [head_spread(each) for each in distances]
        values = [each.deviation for each in spreads]
        found = {
            "layers": names,
            "distance_px": [each.tolist() for each in distances],
            "mean_distance_px": [float(each.mean()) for each in distances],
            "diversity_px": values,
            "variance_px2": [each.variance for each in spreads],
            "range_px": [each.range for each in spreads],
            "uniform_px": [self.uniform[name] for name in names],
            "mean_diversity_px": sum(values) / len(values),
        }
        shows = f"{trend(values, 'Diversity')}, {found['mean_diversity_px']:.3g} px on average."
        if all(len(each) == 1 for each in distances):
            shows = "Every layer has one head, so there is no diversity; the distance is shown."
        most = max(len(each) for each in distances)
        lines = tuple(
            Line(
                f"head {head}",
                tuple(float(n) for n, each in enumerate(distances) if head < len(each)),
                tuple(float(each.sort().values[head]) for each in distances if head < len(each)),
            )
            for head in range(min(most, 12))
        )
        level = float(torch.tensor(list(self.uniform.values())).mean())
        chart = Lines(
            title="Distance of the heads, sorted in each layer",
            x="layer",
            y="px",
            lines=lines,
            level=("uniform", level),
        )
        return Finding(found, shows, (chart,))
