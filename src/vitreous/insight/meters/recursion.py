"""What turns change, whether they come to rest, and what residual sums learned."""

from typing import Any

import torch

from vitreous.analysis.turns import coefficients, turn_by_turn
from vitreous.analysis.watch import backbone
from vitreous.insight.chart import Line, Lines
from vitreous.insight.meters.meter import Finding, Meter, Setting, spaced
from vitreous.models.vision_transformer import VisionTransformerModule

NAME = "turns"
TITLE = "Recursion turn by turn"
HOW = (
    "How much each turn of a recursive layer changes its tokens, relative to their size; turns beyond "
    "those trained repeat the last. A curve that falls to 0 has come to a fixed point, one that stays "
    "or grows has not. Residual sums αx + βy start at 1: β above α means that the branch outweighs what "
    "passes by."
)
BEYOND, MOST_LAYERS = 6, 8


class Recursion(Meter):
    """A few images are enough: changes are means over all tokens."""

    def finding(self, setting: Setting) -> Finding:
        """By layer and turn; coefficients by depth."""
        model = backbone(setting.model)
        if not isinstance(model, VisionTransformerModule):
            return Finding({}, "The model applies no layer more than once.")
        changes = turn_by_turn(model, setting.few[:16], BEYOND)
        sums = coefficients(model)
        if not changes and not sums:
            return Finding({}, "The model applies no layer more than once, and its sums are plain.")
        found: dict[str, Any] = {
            "change": {name: each.mean(dim=1).tolist() for name, each in changes.items()},
            "beyond": BEYOND,
        }
        charts, told = [], []
        if changes:
            shown = spaced(list(changes), MOST_LAYERS)
            lines = tuple(
                Line(
                    name,
                    tuple(float(t + 1) for t in range(len(found["change"][name]))),
                    tuple(found["change"][name]),
                )
                for name in shown
            )
            charts.append(
                Lines(
                    title="Change of each turn; the last 6 are beyond the model's",
                    x="turn",
                    y="relative change",
                    lines=lines,
                    log=True,
                )
            )
            ends = torch.tensor([each[-1] for each in found["change"].values()])
            starts = torch.tensor([each[0] for each in found["change"].values()])
            before, after = float(starts.mean()), float(ends.mean())
            told.append(f"a turn changes {before:.2f} at first and {after:.2f} after {BEYOND} more")
        if sums:
            found["coefficients"] = [vars(each) for each in sums]
            x = tuple(range(len(sums)))
            charts.append(
                Lines(
                    title="Residual coefficients by depth",
                    x="residual sum",
                    y="coefficient",
                    lines=(
                        Line("identity α", x, tuple(each.identity for each in sums)),
                        Line("branch β", x, tuple(each.branch for each in sums)),
                    ),
                    level=("start", 1.0),
                )
            )
            more = sum(each.branch > each.identity for each in sums)
            told.append(f"the branch outweighs what passes by in {more} of {len(sums)} sums")
        return Finding(found, (", and ".join(told) + ".").capitalize(), tuple(charts))
