"""Class activation maps: pictures, and whether the model needs what they mark."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitreous.analysis.class_activation import MISSING, captum_is_there, class_activation
from vitreous.analysis.deletion import SHARE, deletion
from vitreous.insight.chart import Images
from vitreous.insight.meters.meter import Finding, Meter, Setting

NAME = "cam"
TITLE = "What spoke for the answer (class activation)"
HOW = (
    "Grad-CAM: the places that raised the logit of the class that the model answers, at what enters its last "
    "layer on a grid; light is more. Each image stands above its map. Half of an even map's weight lies on "
    "50 % of the image. A map tells something if the answer suffers more from greying out what it marks than "
    "from greying out as much at random; an untrained model hardly notices either."
)
PICTURES, SIDE, SMALLEST = 6, 80, 48
LONGEST_NAME = 12


class Cam(Meter):
    """A few images are enough: of 6 there are pictures, of 32 numbers."""

    def finding(self, setting: Setting) -> Finding:
        """Maps of the model's own answers."""
        if not captum_is_there():
            return Finding({}, f"{MISSING[0].upper()}{MISSING[1:]}.")
        found = class_activation(setting.model, setting.few)
        if found is None:
            return Finding({}, "No layer is given a grid of tokens, so an answer has no places.")
        speaks = found.maps.flatten(1).amax(dim=1) > 0
        if not bool(speaks.any()):
            return Finding({}, f"Nothing that enters {found.layer} speaks for the answers.")
        maps, classes = found.maps[speaks], found.classes[speaks]
        cost = deletion(setting.model, setting.few[speaks], maps, classes)
        area = half_weight_area(maps)
        scaled = maps / maps.amax(dim=(1, 2), keepdim=True)
        names = [_named(setting, int(each)) for each in classes[:PICTURES]]
        values: dict[str, Any] = {
            "layer": found.layer,
            "grid": list(maps.shape[1:]),
            "images": len(maps),
            "images_without_a_map": len(found.maps) - len(maps),
            "half_weight_area": area,
            "probability": cost.whole,
            "without_marked": cost.without_marked,
            "without_random": cost.without_random,
            "greyed_share": SHARE,
            "answers": names,
            "maps": (255 * scaled[:PICTURES]).round().int().flatten(1).tolist(),
        }
        shows = (
            f"At {found.layer}, half of a map's weight lies on {100 * area:.0f} % of the image. Greying out "
            f"the {100 * SHARE:.0f} % that it marks most takes the answer's probability from "
            f"{cost.whole:.2f} to {cost.without_marked:.2f}, as much at random to {cost.without_random:.2f}."
        )
        shown = setting.pixels(len(setting.few))[speaks.cpu()][:PICTURES]
        above = [_fitted(each) for each in shown]
        below = [over(image, each) for image, each in zip(above, scaled, strict=False)]
        told = ", ".join(each[:LONGEST_NAME] for each in names)
        chart = Images(
            title=f"Images and their maps; answers: {told}",
            pictures=tuple((name, _rows(each)) for name, each in zip(2 * names, above + below, strict=True)),
            columns=len(names),
        )
        return Finding(values, shows, (chart,))


def half_weight_area(maps: Tensor) -> float:
    """The smallest share of places that holds half of a map's weight, mean over maps; ½ where it is even.

    Args:
        maps: (batch, rows, columns), 0 or more, none all zero.
    """
    sorted_down = maps.flatten(1).double().sort(dim=1, descending=True).values
    held = sorted_down.cumsum(dim=1) / sorted_down.sum(dim=1, keepdim=True)
    return float(((held < 0.5 - 1e-9).sum(dim=1) + 1).double().mean() / held.shape[1])


def over(image: np.ndarray, weights: Tensor) -> np.ndarray:
    """An image (height, width, 3) uint8 in grey under its map (rows, columns) in colours, light for more."""
    from matplotlib import colormaps

    size = image.shape[:2]
    smooth = nn.functional.interpolate(weights[None, None].float().cpu(), size=size, mode="bilinear")[0, 0]
    colour = colormaps["inferno"](smooth.numpy())[..., :3]
    grey = image.mean(axis=2, keepdims=True) / 255
    mixed: np.ndarray = (255 * (0.4 * grey + 0.6 * colour)).round().astype(np.uint8)
    return mixed


def _fitted(pixels: Tensor) -> np.ndarray:
    """(channels, height, width) uint8 as (height, width, 3): large images smaller, small ones larger."""
    rgb = pixels.expand(3, -1, -1) if pixels.shape[0] == 1 else pixels
    longest = max(rgb.shape[1:])
    if longest > SIDE:
        size = [max(1, round(each * SIDE / longest)) for each in rgb.shape[1:]]
        rgb = nn.functional.interpolate(rgb[None].float(), size=size, mode="area")[0].round().to(torch.uint8)
    times = -(-SMALLEST // max(rgb.shape[1:]))
    whole = rgb.repeat_interleave(times, dim=1).repeat_interleave(times, dim=2)
    return whole.permute(1, 2, 0).contiguous().cpu().numpy()


def _named(setting: Setting, number: int) -> str:
    return setting.classes[number] if setting.classes is not None else f"class {number}"


def _rows(image: np.ndarray) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    return tuple(tuple(tuple(pixel) for pixel in row) for row in image.tolist())
