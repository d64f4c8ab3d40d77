"""A trained model that teaches another: any model folder of ours, or any classifier of timm's.

    RUN or FOLDER       weights, class names and preprocessing of `vitreous.load`
    timm:NAME           timm's pretrained model, downloaded by timm unless VITREOUS_OFFLINE is 1
    timm:NAME@FILE      the same architecture with weights of your own, for the classes at hand

A teacher sees what the pupil sees, the augmented view, but prepared as the teacher is used to: back to
pixels, to its channels and size, and normalised by its mean and deviation,

    x′ = (resize(channels(x · σ + μ)) − μ′) / σ′

It never trains: evaluation mode, no gradient, the precision of the run. Its outputs are put into the order of
the pupil's classes.
"""

import hashlib
from functools import lru_cache
from typing import Any

import timm
import torch
from timm.data import resolve_data_config  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn import functional as F

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, VitreousError
from vitreous.interop.foreign_checkpoint import read_checkpoint
from vitreous.interop.model_folder import load
from vitreous.interop.timm_weights import check_name, pretrained
from vitreous.training.step import TYPES

TIMM = "timm:"
GREY = (0.299, 0.587, 0.114)  # Pillow's shares of red, green and blue


class Teacher(nn.Module):
    """A frozen model between the pupil's images and logits of the pupil's classes.

    Args:
        model: (batch, channels, height, width) → (batch, classes), prepared as `own` says.
        own: the model's preprocessing.
        pupil: the preprocessing of the images it is shown.
        order: place of each of the pupil's classes among the model's outputs; None where they are the same.
        precision: `float32`, or 16-bit autocast.
    """

    order: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        own: Preprocessing,
        pupil: Preprocessing,
        *,
        order: list[int] | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.own = own
        self.pupil = pupil
        self.precision = precision
        self.register_buffer("order", None if order is None else torch.tensor(order), persistent=False)

    @property
    def key(self) -> str:
        """24 hex digits of its weights, its preprocessing and the order of its classes."""
        digest = hashlib.sha256(repr(self.own).encode())
        order = {} if self.order is None else {"order": self.order}
        for name, value in sorted({**self.model.state_dict(), **order}.items()):
            digest.update(f"{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:24]

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width) normalised for the pupil."""
        return self.logits(as_the_teacher_sees(images, self.pupil, self.own))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Float logits of images that are prepared for the teacher already."""
        half = self.precision in ("bfloat16", "float16")
        dtype = TYPES[self.precision] if half else None
        with torch.autocast(images.device.type, dtype, enabled=half):
            logits: Tensor = self.model(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits if self.order is None else logits[:, self.order]


def as_the_teacher_sees(images: Tensor, pupil: Preprocessing, own: Preprocessing) -> Tensor:
    """Images normalised for the pupil → the same views prepared for the teacher."""
    statistics = (own.mean, own.std) == (pupil.mean, pupil.std)
    if statistics and (own.channels, own.height, own.width) == (pupil.channels, *images.shape[2:]):
        return images
    pixels = images * _channels(pupil.std, images) + _channels(pupil.mean, images)
    if own.channels < pupil.channels:
        pixels = (pixels * _channels(GREY, images)).sum(1, keepdim=True)
    elif own.channels > pupil.channels:
        pixels = pixels.expand(-1, own.channels, -1, -1)
    if pixels.shape[2:] != (own.height, own.width):
        size = (own.height, own.width)
        pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(pixels.min(), pixels.max())
    return (pixels - _channels(own.mean, images)) / _channels(own.std, images)


def read_teacher(
    source: str, pupil: Preprocessing, classes: tuple[str, ...], *, setting: str, precision: str = "float32"
) -> Teacher:
    """The teacher that a user named.

    Args:
        source: run folder, model folder, `timm:NAME` or `timm:NAME@FILE`.
        pupil: preprocessing of the images it will be shown.
        classes: the pupil's, in order.
        setting: what messages call the source.
        precision: of the run.

    Raises:
        ConfigError: nothing is there, or its classes are others.
        DataError: weights that cannot be read or had.
    """
    if source.startswith(TIMM):
        model, own = _from_timm(source, pupil, classes, setting)
        return Teacher(model, own, pupil, precision=precision)
    try:
        found = load(source)
    except VitreousError as error:
        raise ConfigError(f"{setting} {source}: {error}; timm:NAME works too") from error
    if set(found.classes) != set(classes):
        missing = sorted(set(classes) - set(found.classes))
        first = f"'{missing[0]}' is unknown to it" if missing else "it has more"
        raise ConfigError(
            f"{setting} {source} knows {len(found.classes)} classes and the data have {len(classes)}: "
            f"{first}; a teacher of the same classes, by name, works"
        )
    order = [found.classes.index(name) for name in classes]
    same = order == list(range(len(order)))
    return Teacher(
        found.model, found.preprocessing, pupil, order=None if same else order, precision=precision
    )


def _from_timm(
    source: str, pupil: Preprocessing, classes: tuple[str, ...], setting: str
) -> tuple[nn.Module, Preprocessing]:
    name, _, file = source.removeprefix(TIMM).partition("@")
    check_name(name, f"{setting} {source}")
    if file:
        with torch.random.fork_rng(devices=[]):  # the first weights are thrown away
            model = timm.create_model(name, num_classes=len(classes), in_chans=pupil.channels)
        try:
            model.load_state_dict(read_checkpoint(file).weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ConfigError(
                f"{setting} {source}: the weights are not those of {name} with {len(classes)} classes and "
                f"{pupil.channels} channels: {reason}"
            ) from error
    else:
        model = pretrained(name, f"{setting} {source}", f"a model folder or timm:{name}@FILE")
    if model.num_classes != len(classes):
        raise ConfigError(
            f"{setting} {source} has {model.num_classes} classes and the data have {len(classes)}; "
            "a teacher of the same classes in the same order works"
        )
    return model, timm_preprocessing(model, pupil.channels if file else None)


def timm_preprocessing(model: Any, channels: int | None) -> Preprocessing:
    """How timm says that a model's images are prepared; for another number of channels the mean of them."""
    told = resolve_data_config({}, model=model)
    usual, height, width = told["input_size"]
    channels = channels or usual
    mean, std = told["mean"], told["std"]
    if len(mean) != channels:
        mean, std = (sum(mean) / len(mean),) * channels, (sum(std) / len(std),) * channels
    return Preprocessing(
        channels=channels,
        height=height,
        width=width,
        mean=tuple(mean),
        std=tuple(std),
        crop_share=told["crop_pct"],
        interpolation="bilinear" if told["interpolation"] == "bilinear" else "bicubic",
    )


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    return _kept(values, like.dtype, like.device)


@lru_cache(maxsize=64)
def _kept(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """(1, channels, 1, 1), kept on the device: a copy to a GPU in every step would be waited for."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)
