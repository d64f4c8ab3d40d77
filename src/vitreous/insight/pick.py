"""What a page needs to show attention for any image and query point: maps as bytes, mean of the heads.

A row of a map is scaled by its largest value to 0 … 255 and stored as base64. Grids of more than 16 × 16
patches are left out: a page has to be small enough to mail.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vitreous.analysis.recording import record
from vitreous.insight.meters.meter import spaced

IMAGES, LAYERS, MOST_PATCHES = 4, 6, 256


@dataclass(frozen=True)
class Pick:
    """Images as PNG in base64, and for each layer its grid and its maps: image by image, query by query."""

    images: tuple[str, ...]
    layers: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values for the page's script."""
        return {"images": list(self.images), "layers": list(self.layers)}


def maps_to_pick(model: nn.Module, normalised: Tensor, pixels: list[np.ndarray]) -> Pick | None:
    """None for a model without maps over a grid that is small enough.

    Args:
        model: in evaluation mode.
        normalised: its input, (batch, channels, height, width).
        pixels: the same images for the eye, (height, width, 3) uint8.
    """
    images = normalised[:IMAGES]
    with torch.no_grad(), record(model, features=None) as seen:
        model(images)
    fitting = {
        name: each
        for name, each in seen.maps.items()
        if each.over == "tokens" and each.grid is not None and each.grid[0] * each.grid[1] <= MOST_PATCHES
    }
    layers = []
    for name in spaced(list(fitting), LAYERS):
        each = fitting[name]
        assert each.grid is not None
        mean = each.dense().mean(dim=1)[:, each.prefix :, each.prefix :]
        scaled = mean / mean.amax(dim=-1, keepdim=True).clamp_min(1e-12) * 255
        values = scaled.round().to(torch.uint8).cpu().numpy().tobytes()
        layers.append({"name": name, "grid": list(each.grid), "maps": base64.b64encode(values).decode()})
    if not layers:
        return None
    return Pick(tuple(png(each) for each in pixels[: len(images)]), tuple(layers))


def png(pixels: np.ndarray) -> str:
    """A picture as base64."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
