"""The loss around the model's weights."""

import torch
from torch import nn

from vitreous.analysis.loss_landscape import landscape
from vitreous.errors import ConfigError
from vitreous.insight.chart import Line, Lines, Matrix
from vitreous.insight.meters.meter import Finding, Meter, Setting

NAME = "landscape"
TITLE = "Loss landscape"
HOW = (
    "The loss on fixed images along random directions, each filter moved by as much as it is long at "
    "±1. Wide and round is easy to train around; sharp walls are not. SReT's claim: recursion gives a "
    "simpler landscape than depth alone. One direction is one sample: read several seeds."
)
IMAGES = 128


class LossLandscape(Meter):
    """Runs only when asked for by name: it measures the loss steps or steps² times."""

    def finding(self, setting: Setting) -> Finding:
        """Losses by place."""
        if setting.labels is None:
            return Finding({}, "The data's classes are not the model's, so there is no loss.")
        fixed = [(images, labels) for images, labels in setting.batches(IMAGES)]

        def loss(model: nn.Module) -> float:
            total = sum(
                float(nn.functional.cross_entropy(model(images).float(), labels, reduction="sum"))
                for images, labels in fixed
            )
            return total / sum(len(labels) for _, labels in fixed)

        try:
            found = landscape(
                setting.model,
                loss,
                steps=setting.steps,
                dimensions=setting.dimensions,
                budget_s=setting.budget_s,
                say=setting.say,
            )
        except ConfigError as error:
            return Finding({}, f"Not measured: {error} (--budget-s, --steps).")
        values = {"places": list(found.places), "losses": found.losses, "seed": found.seed, "images": IMAGES}
        flat = torch.tensor(found.losses)
        centre = float(
            flat[len(found.places) // 2] if flat.ndim == 1 else flat[len(flat) // 2, len(flat) // 2]
        )
        highest = float(flat.max())
        shows = f"The loss is {centre:.3f} at the model, up to {highest:.3f} within a filter's length."
        if flat.ndim == 1:
            line = Line("loss", found.places, tuple(flat.tolist()))
            return Finding(
                values,
                shows,
                (Lines(title="Loss along a direction", x="filter lengths", y="loss", lines=(line,)),),
            )
        names = tuple(f"{place:.1f}" for place in found.places)
        rows = tuple(tuple(row) for row in flat.tolist())
        chart = Matrix(
            title="Loss over a plane",
            rows=names,
            columns=names,
            values=rows,
            low=float(flat.min()),
            high=float(flat.max()),
        )
        return Finding(values, shows, (chart,))
