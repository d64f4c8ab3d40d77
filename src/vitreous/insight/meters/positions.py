"""Correlation of positions by layer, and the weights with which position enters."""

import torch

from vitreous.analysis.position_correlation import (
    chained_control,
    correlation,
    joining_weights,
    position_terms,
    summary,
)
from vitreous.analysis.seen import BLOCK, Features
from vitreous.analysis.watch import backbone, watch
from vitreous.insight.chart import Line, Lines, Matrix
from vitreous.insight.meters.meter import Finding, Meter, Setting, trend
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts.position import AddPositionModule

NAME = "position"
TITLE = "Position, layer by layer"
HOW = (
    "Mean cosine of the positions that a layer is told for two patches: near 0 every place is its own, "
    "near 1 places look alike. LaPE's claim: joined once at the input it stays the same in all layers; "
    "with a norm in each layer it goes from local to global. Chained norms with random biases do so "
    "untrained (control); centred curves are free of that."
)


class Positions(Meter):
    """Position does not depend on images; it is read from the model once."""

    def finding(self, setting: Setting) -> Finding:
        """By layer."""
        terms = position_terms(setting.model)
        if not terms:
            return Finding(
                {},
                "No position table: places are told by convolutions or turned queries, or not at all.",
            )
        vectors = [each for each in terms if each.term is not None]
        biases = [each for each in terms if each.bias is not None]
        found: dict = {"layers": [each.name for each in terms], "joining": [each.joining for each in terms]}  # type: ignore[type-arg]
        charts: list = []  # type: ignore[type-arg]
        shows = ""
        if vectors:
            told = [summary(each.term, each.grid) for each in vectors if each.term is not None]
            found["mean"] = [each.mean for each in told]
            found["mean_centred"] = [each.mean_centred for each in told]
            found["neighbours"] = [each.neighbours for each in told]
            lines = [Line("mean", tuple(range(len(told))), tuple(found["mean"]))]
            lines.append(Line("mean, centred", tuple(range(len(told))), tuple(found["mean_centred"])))
            if vectors[0].joining == "LaPE" and vectors[0].term is not None:
                control = chained_control(len(told), *vectors[0].term.shape)
                found["chained_control"] = control
                lines.append(
                    Line("chained norms, random", tuple(range(len(control))), tuple(control), control=True)
                )
            charts.append(
                Lines(
                    title="Cosine of the positions of two patches",
                    x="layer",
                    y="mean cosine",
                    lines=tuple(lines),
                )
            )
            shows = f"Joined by {vectors[0].joining}: {trend(found['mean'], 'the mean cosine')}."
            last = vectors[-1]
            if last.grid is not None and last.term is not None:
                middle = (last.grid[0] // 2) * last.grid[1] + last.grid[1] // 2
                row = correlation(last.term)[middle].view(last.grid)
                found["middle_token_last_layer"] = row.tolist()
                charts.append(
                    Matrix(
                        title=f"The middle token's position and all others, {last.name}",
                        rows=tuple(map(str, range(last.grid[0]))),
                        columns=tuple(map(str, range(last.grid[1]))),
                        values=tuple(tuple(each) for each in row.tolist()),
                        low=-0.2,
                        high=1.0,
                        x="column",
                        y="row",
                    )
                )
        if biases:
            spread = [float(each.bias.std()) for each in biases if each.bias is not None]
            found["relative_bias_deviation"] = spread
            shows += f" Relative biases of heads: {trend(spread, 'their deviation')}."
        weights = self._weights(setting)
        if weights:
            found["l1"], found["l2"], found["l3"] = weights
            x = tuple(range(len(weights[0])))
            named = zip(("L1 tokens", "L2 position", "L3 bias"), weights, strict=True)
            lines = [Line(name, x, tuple(each)) for name, each in named]
            charts.append(
                Lines(
                    title="Weights of tokens and position in a layer's norm",
                    x="layer",
                    y="weight",
                    lines=tuple(lines),
                )
            )
            shows += f" Position's weight L2: {trend(weights[1], 'it')}."
        return Finding(found, shows.strip(), tuple(charts))

    def _weights(self, setting: Setting) -> list[list[float]]:
        """L1, L2 and L3 by layer, of a table that is added once at the input."""
        model = backbone(setting.model)
        if not isinstance(model, VisionTransformerModule) or not isinstance(
            model.position, AddPositionModule
        ):
            return []
        table: list[torch.Tensor] = []
        hook = model.position.table.register_forward_hook(lambda _, __, out: table.append(out.detach()))
        seen: list[Features] = []
        try:
            with torch.no_grad(), watch(model, see_features=seen.append, kinds=(BLOCK,)):
                model(setting.few[:8])
        finally:
            hook.remove()
        entering = [each.x for each in seen[:-1] if each.x.shape[1:] == table[0].shape[1:]]
        if not entering:
            return []
        rows = [joining_weights(x - table[0], table[0]) for x in entering]
        return [[float(row[which].mean()) for row in rows] for which in range(3)]
