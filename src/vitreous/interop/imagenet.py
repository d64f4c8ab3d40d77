"""How released ImageNet models expect their images: torchvision's mean and deviation, bicubic, centre crop.

All five papers' code and DeiT evaluate photographs alike: the shorter side to 256/224 of the input size, then
the centre, which is a crop share of 0.875 (LaPE's copy resizes to 224 without a margin, and may lose by it).
Models for small images see all of each: EIT's code neither resizes nor crops up to 32 pixels.
"""

from vitreous.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from vitreous.parts import ImageShape

SMALL = 96  # pixels; up to here an image is taken whole


def imagenet_preprocessing(image: ImageShape) -> Preprocessing:
    """The preprocessing of a model for photographs; raises ConfigError for other than 1 or 3 channels."""
    mean, std = imagenet_statistics(image.channels)
    return Preprocessing(
        channels=image.channels,
        height=image.height,
        width=image.width,
        mean=mean,
        std=std,
        crop_share=crop_share(image),
    )


def imagenet_statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel; those of grey where channels are not red, green, blue."""
    if channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return (sum(IMAGENET_MEAN) / 3,) * channels, (sum(IMAGENET_STD) / 3,) * channels


def crop_share(image: ImageShape) -> float:
    """Part of the shorter side that the centre crop keeps."""
    return 0.875 if min(image.height, image.width) > SMALL else 1.0
