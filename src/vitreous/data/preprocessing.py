"""From an image of any size to what the model takes: one frozen value, stored beside the weights.

The same object serves validation, `evaluate` and `predict`, so that they cannot differ:
centre part of the target's shape, covering `crop_share` of the shorter side → bicubic, antialiased
resize (both in one Pillow call) → uint8 → (x/255 − mean)/std. An image that has the target's size
already passes untouched. Ours; `crop_share` 0.875 is the 224-of-256 habit of ImageNet evaluation.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor

from vitreous.data.decode import to_channels, upright, why_unreadable
from vitreous.errors import ConfigError, DataError, did_you_mean

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
ImageLike = str | Path | Image.Image | np.ndarray | Tensor


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes the model's input.

    Args:
        channels: 1 (grey) or 3 (RGB).
        height: rows in pixels.
        width: columns in pixels.
        mean: per channel, of pixels scaled to 0..1.
        std: per channel, of pixels scaled to 0..1.
        crop_share: part of the shorter side that the centre crop keeps (0 to 1].
        interpolation: Pillow's resampling.
    """

    channels: int
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_share: float = 1.0
    interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic"

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ConfigError(f"preprocessing: channels is {self.channels}; 1 and 3 work")
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"preprocessing: {self.height}×{self.width} pixels; both must be 1 or more")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ConfigError(
                    f"preprocessing: {name} has {len(values)} values for {self.channels} channels"
                )
        if not all(value > 0 for value in self.std):
            raise ConfigError(f"preprocessing: std is {self.std}; every value must be above 0")
        if not 0 < self.crop_share <= 1:
            raise ConfigError(f"preprocessing: crop_share is {self.crop_share}; above 0 and up to 1 works")

    def to_uint8(self, image: Image.Image) -> UInt8[Tensor, "channels height width"]:
        """A Pillow image of any size, mode and orientation to uint8 (channels, height, width).

        The image itself is turned upright (its EXIF orientation applied).

        Raises:
            DataError: pixels that cannot be read.
        """
        return self.fit(upright(image))

    def fit(self, image: Image.Image) -> UInt8[Tensor, "channels height width"]:
        """The same for an image that is upright and `L` or `RGB` already, as splits hand them out."""
        image = to_channels(image, self.channels)
        if image.size != (self.width, self.height):
            resampling = Image.Resampling[self.interpolation.upper()]
            image = image.resize((self.width, self.height), resampling, box=self._centre(image))
        pixels = np.array(image)  # a copy: torch wants memory that it may write
        rows = torch.from_numpy(pixels)
        return rows[None] if self.channels == 1 else rows.permute(2, 0, 1).contiguous()

    def _centre(self, image: Image.Image) -> tuple[float, float, float, float]:
        """Largest centred box of the target's shape, times crop_share."""
        scale = min(image.width / self.width, image.height / self.height) * self.crop_share
        left = (image.width - self.width * scale) / 2
        top = (image.height - self.height * scale) / 2
        return left, top, left + self.width * scale, top + self.height * scale

    def normalize(
        self, images: UInt8[Tensor, "batch channels height width"]
    ) -> Float32[Tensor, "batch channels height width"]:
        """(x/255 − mean)/std, on whatever device the images are."""
        scale, shift = _affine(self.mean, self.std, images.device)
        return images.to(torch.float32).mul_(scale).add_(shift)

    def load(self, image: ImageLike) -> UInt8[Tensor, "channels height width"]:
        """A path, Pillow image, array or tensor to uint8 (channels, height, width).

        Arrays are (rows, columns) or (rows, columns, channels), tensors (channels, rows, columns);
        uint8 0..255, uint16 0..65535 or floating-point 0..1.

        Raises:
            DataError: a file that cannot be read (names it), or values that are none of these.
        """
        if isinstance(image, str | Path):
            try:
                with Image.open(image) as opened:
                    return self.to_uint8(opened)
            except Exception as error:  # readers raise nearly anything
                reason = why_unreadable(error)
                raise DataError(f"{image}: cannot be read as an image ({reason})") from error
        if isinstance(image, Image.Image):
            try:
                own = image.copy()  # turned upright in place: leave the caller's alone
            except Exception as error:
                raise DataError(f"the image cannot be read ({why_unreadable(error)})") from error
            return self.to_uint8(own)
        if isinstance(image, Tensor):
            image = image.detach().cpu().numpy()
            if image.ndim == 3:
                image = image.transpose(1, 2, 0)
        return self.to_uint8(_from_array(image))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives an equal object back."""
        return dataclasses.asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Exact inverse of `to_json`.

        Raises:
            ConfigError: a key too many or too few, or a value that does not fit.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError(f"preprocessing: unknown key '{key}'{did_you_mean(key, known)}")
        missing = [name for name in known if name not in values]
        if missing:
            raise ConfigError(f"preprocessing: missing {', '.join(missing)}")
        try:
            numbers = {name: tuple(float(value) for value in values[name]) for name in ("mean", "std")}
        except (TypeError, ValueError):
            raise ConfigError("preprocessing: mean and std are lists of numbers") from None
        for name in ("channels", "height", "width"):
            if type(values[name]) is not int:
                raise ConfigError(f"preprocessing: {name} is {values[name]!r}; a whole number works")
        if type(values["crop_share"]) not in (int, float):
            raise ConfigError(
                f"preprocessing: crop_share is {values['crop_share']!r}; a number up to 1 works"
            )
        if values["interpolation"] not in ("bicubic", "bilinear", "nearest"):
            raise ConfigError(
                f"preprocessing: interpolation is {values['interpolation']!r}; "
                "bicubic, bilinear and nearest work"
            )
        return cls(**{**values, **numbers})


def _affine(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift of one multiply-add, (1, channels, 1, 1) each."""
    deviation = torch.tensor(std, dtype=torch.float64)
    shift = -torch.tensor(mean, dtype=torch.float64) / deviation
    scale = 1 / (255 * deviation)
    shape = (1, len(mean), 1, 1)
    return (
        scale.to(torch.float32).view(shape).to(device, non_blocking=True),
        shift.to(torch.float32).view(shape).to(device, non_blocking=True),
    )


def _from_array(values: np.ndarray) -> Image.Image:
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise DataError(
            f"an array of shape {values.shape} is no image; (rows, columns) and (rows, columns, 3) work"
        )
    if values.dtype == np.uint16:
        values = ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    elif np.issubdtype(values.dtype, np.floating):
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise DataError("floating-point pixels outside 0..1; give 0..1, or uint8 0..255")
        values = np.round(values * 255).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise DataError(f"pixels of type {values.dtype}; uint8, uint16 and floating-point 0..1 work")
    return Image.fromarray(np.ascontiguousarray(values))
