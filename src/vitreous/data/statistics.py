"""The preprocessing of a new run: size from the caller, brightness statistics from the data.

Mean and standard deviation are counted over every pixel of the training images where these are held in
memory anyway; a set that is streamed takes ImageNet's, since one pass over it would cost as much as an
epoch of decoding and photographs differ little.
"""

import dataclasses
import math

import torch
from torch import Tensor

from vitreous.data.batches import choose_path
from vitreous.data.images import ImageSplit
from vitreous.data.loading import Loading
from vitreous.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from vitreous.data.resident import decoded

LARGEST_SMALL_IMAGE = 96
"""Up to this many pixels an image is shown whole; above, evaluation crops and training crops at random."""


def fit_preprocessing(
    train: ImageSplit,
    *,
    channels: int,
    height: int,
    width: int,
    crop: str,
    loading: Loading | None = None,
) -> tuple[Preprocessing, str]:
    """The preprocessing for a model of this input size, and where its statistics come from.

    Args:
        train: training images.
        channels: 1 or 3.
        height: rows in pixels.
        width: columns in pixels.
        crop: `resized`, `pad` or `none`: training's crop, which decides the size that images are kept at.
        loading: how images are read.
    """
    neutral = Preprocessing(
        channels=channels,
        height=height,
        width=width,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        crop_share=1.0 if max(height, width) <= LARGEST_SMALL_IMAGE else 0.875,
    )
    storage = training_storage(neutral, crop)
    if choose_path(len(train.pool), storage, loading or Loading())[0] == "streaming":
        mean, std = _imagenet(channels)
        reason = "mean and deviation of ImageNet, since the images are streamed"
    else:
        skip = loading is not None and loading.skip_unreadable
        images, rows = decoded(train, storage, share=True, skip=skip)
        mean, std = pixel_statistics(images, rows[rows >= 0])
        reason = f"mean and deviation of the {len(train):,} training images"
    return dataclasses.replace(neutral, mean=mean, std=std), reason


def training_storage(preprocessing: Preprocessing, crop: str) -> Preprocessing:
    """How training keeps images before augmentation: with an eighth to spare for `resized` crops.

    256 for 224 pixels, as the field's evaluation resizes; other crops start from the model's own size.
    """
    if crop != "resized":
        return preprocessing
    return dataclasses.replace(
        preprocessing,
        height=math.ceil(preprocessing.height * 8 / 7),
        width=math.ceil(preprocessing.width * 8 / 7),
        crop_share=1.0,
    )


def pixel_statistics(images: Tensor, rows: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation a channel, of pixels scaled to 0..1, to four decimals.

    Args:
        images: uint8 (n, channels, height, width).
        rows: which of them count.
    """
    channels = images.shape[1]
    histogram = torch.zeros(channels, 256, dtype=torch.int64)
    for part in rows.split(1024):
        block = images[part]
        for channel in range(channels):
            histogram[channel] += torch.bincount(block[:, channel].reshape(-1), minlength=256)
    counts = histogram.to(torch.float64)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum(1) / counts.sum(1)
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)
    deviation = variance.sqrt().clamp(min=1e-3)  # a channel of one value is left as it is
    return (
        tuple(round(value, 4) for value in mean.tolist()),
        tuple(round(value, 4) for value in deviation.tolist()),
    )


def _imagenet(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if channels == 3:
        return IMAGENET_MEAN, IMAGENET_STD
    return (sum(IMAGENET_MEAN) / 3,), (sum(IMAGENET_STD) / 3,)
