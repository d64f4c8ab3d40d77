"""Patch tokens as colours, after the middle and the last layer."""

import torch

from vitreous.analysis.recording import record
from vitreous.analysis.seen import EMBEDDING
from vitreous.analysis.token_colours import token_colours
from vitreous.insight.chart import Images
from vitreous.insight.meters.meter import Finding, Meter, Setting, spaced

NAME = "colours"
TITLE = "Patches as colours (PCA)"
HOW = (
    "The first three principal components of all patches, as red, green and blue: what has one colour "
    "is one thing to the layer. Parts of an object that share a colour across images are a good sign; "
    "checkers and borders tell of position."
)
IMAGES = 6


class Colours(Meter):
    """Recorded on a few images alone."""

    def finding(self, setting: Setting) -> Finding:
        """A picture for each image and layer."""
        with torch.no_grad(), record(setting.model, attention=False) as seen:
            setting.model(setting.few[:IMAGES])
        layers = {n: each for n, each in seen.features.items() if each.grid is not None and n != EMBEDDING}
        if not layers:
            return Finding({}, "No layer has a grid, so there is no picture.")
        charts, found = [], {}
        for name in dict.fromkeys(spaced(list(layers), 3)[-2:]):
            each = layers[name]
            assert each.grid is not None
            colours = (token_colours(each.patches, each.grid) * 255).round().astype(int).tolist()
            found[name] = colours
            pictures = tuple(
                (f"image {n}", tuple(tuple(tuple(pixel) for pixel in row) for row in picture))
                for n, picture in enumerate(colours)
            )
            charts.append(Images(title=f"Patches of {name}", pictures=pictures))  # type: ignore[arg-type]
        return Finding({"layers": found}, f"Drawn for {' and '.join(found)}.", tuple(charts))
