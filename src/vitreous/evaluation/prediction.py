"""Names and probabilities for pictures of any kind, prepared as the model's own validation images were.

A picture that cannot be read gets an entry that says so; the others still get their answer.
"""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vitreous.analysis.multi_label import THRESHOLD
from vitreous.data.folder import ENDINGS
from vitreous.data.preprocessing import ImageLike
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.settings import PredictSettings
from vitreous.interop.classifier import Classifier
from vitreous.interop.model_folder import load


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Args:
        path: the file, or `image 3` for a picture that was given as pixels.
        label: the most probable class; None where the picture could not be read.
        probability: of that class, 0 to 1.
        probabilities: class name → probability, the most probable first, as many as were asked for.
        error: why there is no answer.
        labels: the classes that the picture has: the one of `label`, or, of a multi-label model, those of
            probability 0.5 and more, the most probable first.
    """

    path: str
    label: str | None
    probability: float | None
    probabilities: dict[str, float]
    error: str | None = None
    labels: tuple[str, ...] = ()


def predict(
    model: Classifier | str | Path,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = PredictSettings.top,
    batch_size: int = PredictSettings.batch_size,
) -> list[Prediction]:
    """Class names and probabilities for pictures.

    Args:
        model: what `vitreous.load` returns, or a run or model folder.
        images: one or several of: a file, a folder (with everything inside it), a Pillow image, an array
            (rows, columns[, channels]), a tensor (channels, rows, columns); arrays and tensors with one more
            dimension in front are several. Pixels are uint8, uint16 or 0 to 1.
        top: how many names for each picture, clipped to the number of classes.
        batch_size: pictures at a time.

    Returns:
        One prediction for each picture, in order.

    Raises:
        ConfigError: no model there, one without classes, nothing to predict, or a number below 1.
        DataError: a folder without images.
    """
    for name, value in (("top", top), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; 1 or more works")
    classifier = model if isinstance(model, Classifier) else load(model)
    if not classifier.classes:
        raise ConfigError("the model was built for 0 classes: it gives features, and no names")
    pictures = list_pictures(images)
    if not pictures:
        raise ConfigError("no pictures to predict; give image files, a folder, or arrays")
    was_training = classifier.training
    classifier.eval()
    answers: list[Prediction] = []
    for start in range(0, len(pictures), batch_size):
        answers += _predict_batch(classifier, pictures[start : start + batch_size], start, top)
    classifier.train(was_training)
    return answers


def list_pictures(images: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """Every single picture in what a caller gave: folders opened, arrays of several taken apart.

    Raises:
        DataError: a folder without images.
    """
    if isinstance(images, np.ndarray | Tensor) and _is_several(images):
        return list(images)
    if isinstance(images, str | Path) and Path(images).is_dir():
        return list(_files_below(Path(images)))
    if isinstance(images, str | Path | Image.Image | np.ndarray | Tensor):
        return [images]
    return [picture for each in images for picture in list_pictures(each)]


def _is_several(images: np.ndarray | Tensor) -> bool:
    return images.ndim == 4 or (images.ndim == 3 and isinstance(images, np.ndarray) and images.shape[-1] > 4)


def _files_below(folder: Path) -> list[Path]:
    found = []
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(here, name)
            for name in sorted(files)
            if name.lower().endswith(tuple(ENDINGS)) and not name.startswith(".")
        ]
    if not found:
        raise DataError(
            f"{folder}: no images in it; files ending with {', '.join(ENDINGS[:4])} and others are"
        )
    return found


@torch.inference_mode()
def _predict_batch(
    classifier: Classifier, pictures: Sequence[ImageLike], start: int, top: int
) -> list[Prediction]:
    names = [
        str(each) if isinstance(each, str | Path) else f"image {start + number}"
        for number, each in enumerate(pictures)
    ]
    answers: dict[int, Prediction] = {}
    readable: list[int] = []
    pixels: list[Tensor] = []
    for number, picture in enumerate(pictures):
        try:
            pixels.append(classifier.preprocessing.load(picture))
            readable.append(number)
        except DataError as error:
            answers[number] = Prediction(
                names[number], None, None, {}, str(error).removeprefix(f"{names[number]}: ")
            )
    if readable:
        batch = classifier.preprocessing.normalize(torch.stack(pixels).to(classifier.device))
        logits = classifier(batch.contiguous(memory_format=torch.channels_last)).float()
        probabilities = classifier.probabilities(logits).cpu()
        highest = probabilities.topk(min(top, len(classifier.classes)), dim=1)
        for number, values, places in zip(
            readable, highest.values.tolist(), highest.indices.tolist(), strict=True
        ):
            said = {classifier.classes[place]: value for place, value in zip(places, values, strict=True)}
            best = next(iter(said))
            answers[number] = Prediction(names[number], best, values[0], said, labels=(best,))
        if classifier.multi_label:
            for number, mine in zip(readable, probabilities, strict=True):
                order = mine.argsort(descending=True).tolist()
                has = tuple(classifier.classes[place] for place in order if mine[place] >= THRESHOLD)
                answers[number] = dataclasses.replace(answers[number], labels=has)
    return [answers[number] for number in range(len(pictures))]
