"""RandAugment as timm's `rand-m9-mstd0.5-inc1` has it, the one of DeiT and of most recipes after it.

Cubuk et al. 2019 (RandAugment) draw operations of one fixed strength m. timm's variant (Wightman,
`timm.data.auto_augment`) differs in four ways: every operation grows with m (posterize and solarize of the
first form fade), the set holds invert and solarize-add but no identity, each drawn operation happens with
probability 1/2, and its strength is drawn anew, from a normal distribution around m.

Operations are torchvision's, with its 31 strengths: timm's 0 to 10 is our 0 to 30, m9 is 27 and mstd0.5 is
1.5. As in torchvision, one draw serves all images that are handed in. Rotated and sheared images are
sampled bilinearly (timm: bilinearly or bicubically, at random), on mid-grey.
"""

from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.transforms import v2

STRONGEST = 30
PROBABILITY = 0.5
SOLARIZE_ADD = "SolarizeAdd"
_PLAIN = v2.RandAugment._AUGMENTATION_SPACE
SPACE: dict[str, tuple[Any, bool]] = {
    **{name: how for name, how in _PLAIN.items() if name != "Identity"},
    "Posterize": (lambda count, rows, columns: 4 - (4 * torch.arange(count) // (count - 1)), False),
    "Invert": (lambda count, rows, columns: None, False),
    SOLARIZE_ADD: (lambda count, rows, columns: torch.linspace(0, 110, count), False),
}
"""Name → (strengths from weakest to strongest, whether the sign is drawn)."""


class IncreasingRandAugment(v2.RandAugment):  # type: ignore[misc]
    """A transform of uint8 images; draws from torch's global generator.

    Args:
        operations: drawn for the images, one after the other, each perhaps more than once.
        magnitude: mean strength, 0 to 30.
        std: standard deviation of the strength, in the same unit.
    """

    def __init__(self, operations: int, magnitude: int, std: float) -> None:
        super().__init__(operations, magnitude, interpolation=v2.InterpolationMode.BILINEAR, fill=[128.0])
        self.std = std

    def forward(
        self, images: UInt8[Tensor, "batch channels rows columns"]
    ) -> UInt8[Tensor, "batch channels rows columns"]:
        """The images after the drawn operations."""
        for _ in range(self.num_ops):
            name, (strengths_of, signed) = self._get_random_item(SPACE)
            happens = bool(torch.rand(()) < PROBABILITY)
            drawn = self.magnitude + self.std * float(torch.randn(()))
            sign = -1.0 if signed and torch.rand(()) < 0.5 else 1.0
            if happens:
                place = round(min(max(drawn, 0), STRONGEST))
                strengths = strengths_of(STRONGEST + 1, *images.shape[-2:])
                strength = 0.0 if strengths is None else sign * float(strengths[place])
                images = self.operate(images, name, strength)
        return images

    def operate(self, images: Tensor, name: str, strength: float) -> Tensor:
        """One operation at a strength in its own unit."""
        if name == SOLARIZE_ADD:
            added = images.to(torch.int16).add(int(strength)).clamp(max=255).to(torch.uint8)
            return torch.where(images < 128, added, images)
        result: Tensor = self._apply_image_or_video_transform(
            images, name, strength, interpolation=self.interpolation, fill=self._fill
        )
        return result
