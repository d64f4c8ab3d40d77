"""A few images of each class as training and validation will show them to the model, with all values.

    views = look_as_model(TrainSettings(data=["digits"]))
    views.classes[0].train[0].seen[1].caption     # "7 71 % + 1 29 %"

Everything is made by the very objects of a run with these settings: its plan, its augmentation at steps 0, 1,
2 …, its `Preprocessing`. Only the normalisation is taken back, so that an eye can see the pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitreous.data.images import ImageData, ImageSplit, open_images
from vitreous.data.labels import have_class, spelled
from vitreous.data.preprocessing import Preprocessing
from vitreous.data.statistics import training_storage
from vitreous.training.assemble import make_augmentation
from vitreous.training.check_settings import check_settings
from vitreous.training.decide import decide
from vitreous.training.plan import Plan
from vitreous.training.settings import TrainSettings

MOST_CLASSES = 20
IMAGES = 2
STEPS = 4
LARGEST_ORIGINAL = 256
SMALLEST_SHARE = 0.005


@dataclass(frozen=True, eq=False)
class View:
    """A picture and what is to be said of it: uint8 (rows, columns) or (rows, columns, 3)."""

    pixels: np.ndarray
    caption: str


@dataclass(frozen=True, eq=False)
class Shown:
    """One image as it is stored, and what the model sees of it."""

    where: str
    stored: View
    seen: tuple[View, ...]


@dataclass(frozen=True, eq=False)
class ClassViews:
    """Training and validation images of one class."""

    name: str
    train: tuple[Shown, ...]
    val: tuple[Shown, ...]


@dataclass(frozen=True, eq=False)
class DataViews:
    """What is on the page.

    Args:
        data: what the images are, in one line.
        classes: the classes shown.
        left_out: how many are not.
        values: name → value of everything that is done to images, first for training, then for validation.
    """

    data: str
    classes: tuple[ClassViews, ...]
    left_out: int
    train_values: dict[str, str]
    val_values: dict[str, str]


def look_as_model(settings: TrainSettings) -> DataViews:
    """The views of a run with these settings; nothing is trained or written.

    Args:
        settings: of a training run.

    Raises:
        ConfigError: settings that cannot be trained with.
        DataError: images that cannot be used.
    """
    check_settings(settings)
    data = open_images(settings.data, loading=settings.loading, seed=settings.seed, need=("train", "val"))
    plan = decide(settings, data)
    count = len(data.classes)
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_CLASSES)).astype(int))
    train = _train_views(plan, data, _members(data.splits["train"], shown))
    val = _val_views(plan.preprocessing, data, _members(data.splits["val"], shown))
    classes = tuple(
        ClassViews(data.classes[label], tuple(train.get(label, ())), tuple(val.get(label, ())))
        for label in shown.tolist()
    )
    return DataViews(str(data.scan), classes, count - len(classes), *_values(plan))


def _members(split: ImageSplit, classes: np.ndarray) -> list[tuple[int, int]]:
    """Classes and images of theirs, spread over each: first one of every class, then the second …

    Neighbours in the list are of different classes, so that mixing shows two.
    """
    columns = []
    for label in classes.tolist():
        rows = have_class(split.labels, label)
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(IMAGES, len(rows))).astype(int))]
        columns.append([(label, int(row)) for row in chosen])
    return [column[turn] for turn in range(IMAGES) for column in columns if turn < len(column)]


def _train_views(plan: Plan, data: ImageData, members: Sequence[tuple[int, int]]) -> dict[int, list[Shown]]:
    split = data.splits["train"]
    storage = training_storage(plan.preprocessing, plan.recipe.crop)
    rows = [row for _, row in members]
    stored = torch.stack([storage.fit(split.image(row)) for row in rows])
    labels = torch.from_numpy(split.labels[rows])
    if split.multi_label:
        labels = labels.to(torch.float32)  # as `multi_label.py` hands them to augmentation
    augment = make_augmentation(plan)
    seen: list[list[View]] = [[] for _ in members]
    for step in range(STEPS):
        batch, targets = augment(stored.clone(), labels, step)
        for at, pixels in enumerate(_pixels(batch, plan.preprocessing)):
            seen[at].append(View(pixels, _said(targets[at], data.classes)))
    found: dict[int, list[Shown]] = {}
    for at, (label, row) in enumerate(members):
        shown = Shown(split.where(row), _original(split, row), tuple(seen[at]))
        found.setdefault(label, []).append(shown)
    return found


def _val_views(
    preprocessing: Preprocessing, data: ImageData, members: Sequence[tuple[int, int]]
) -> dict[int, list[Shown]]:
    split = data.splits["val"]
    found: dict[int, list[Shown]] = {}
    for label, row in members:
        batch = preprocessing.normalize(preprocessing.fit(split.image(row))[None])
        named = spelled(split.labels, data.classes, row)
        view = View(next(iter(_pixels(batch, preprocessing))), named)
        found.setdefault(label, []).append(Shown(split.where(row), _original(split, row), (view,)))
    return found


def _pixels(batch: Tensor, preprocessing: Preprocessing) -> list[np.ndarray]:
    """Normalised images as an eye can see them: the normalisation taken back, rounded and clipped."""
    shape = (1, -1, 1, 1)
    mean, std = (torch.tensor(values).view(shape) for values in (preprocessing.mean, preprocessing.std))
    pixels = (255 * (batch.cpu() * std + mean)).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return [each[..., 0] if each.shape[-1] == 1 else each for each in pixels.numpy()]


def _said(target: Tensor, classes: Sequence[str]) -> str:
    """The label, or all of an image's, or the shares of mixed ones, the largest first."""
    if target.ndim == 0:
        return classes[int(target)]
    order = target.argsort(descending=True).tolist()
    shares = [(str(classes[at]), float(target[at])) for at in order if target[at] > SMALLEST_SHARE]
    if all(value > 1 - SMALLEST_SHARE for _, value in shares):
        return "|".join(name for name, _ in shares) or "none of the classes"
    return " + ".join(f"{name} {100 * value:.0f} %" for name, value in shares)


def _original(split: ImageSplit, i: int) -> View:
    image = split.image(i)
    caption = f"{image.height}×{image.width}"
    image.thumbnail((LARGEST_ORIGINAL, LARGEST_ORIGINAL))
    return View(np.asarray(image), caption)


def _values(plan: Plan) -> tuple[dict[str, str], dict[str, str]]:
    recipe, prepared = plan.recipe, plan.preprocessing
    storage = training_storage(prepared, recipe.crop)
    size = f"{prepared.height}×{prepared.width}"
    normalised = (
        f"(x/255 − mean) / std; mean {_numbers(prepared.mean)}, std {_numbers(prepared.std)} "
        f"({plan.reasons['preprocessing']})"
    )
    kept = "as validation prepares them" if storage == prepared else f"at {storage.height}×{storage.width}"
    crop = {
        "pad": f"shifted by up to {recipe.padding} px over a black margin",
        "resized": f"a random window of {100 * recipe.smallest_crop:.0f} to 100 % of the area, to {size}",
        "none": "none",
    }[recipe.crop]
    several = "operation" if recipe.randaugment == 1 else "operations"
    draws = f"{recipe.randaugment} {several} of magnitude {recipe.randaugment_magnitude} of 30"
    mixes = [f"{name} (alpha {value:g})" for name, value in _mixes(plan) if value]
    train = {
        "kept": kept,
        "crop": crop,
        "mirrored": "half of the images" if recipe.flip else "never",
        "RandAugment": f"{draws}, {recipe.randaugment_set} set" if recipe.randaugment else "none",
        "normalised": normalised,
        "erasing": f"a rectangle of {100 * recipe.erasing:g} % of the images" if recipe.erasing else "none",
        "mixing": f"{' or '.join(mixes)}, {_batches_mixed(plan)}" if mixes else "none",
        "label smoothing": f"{recipe.label_smoothing:g}",
    }
    if recipe.progressive_size is not None:
        train["shrunk after that"] = (
            f"to {recipe.progressive_size} px, in the first {100 * recipe.progressive_share:g} % of steps"
        )
    cut = f"{100 * prepared.crop_share:g} % of the centred {size} shape"
    val = {
        "cut": "nothing: the whole centred shape" if prepared.crop_share == 1 else cut,
        "resized": f"to {size}, {prepared.interpolation}, antialiased; untouched where they have that size",
        "normalised": normalised,
        "the same for": "vitreous evaluate and vitreous predict",
    }
    model = {"model": f"{plan.config.name}, {_tokens(plan)}"}
    return model | train, model | val


def _mixes(plan: Plan) -> tuple[tuple[str, float], ...]:
    return ("mixup", plan.recipe.mixup), ("cutmix", plan.recipe.cutmix)


def _batches_mixed(plan: Plan) -> str:
    share = plan.recipe.mix_probability
    if share == "auto":
        return "on half of the batches where the time allows ten passes and more"
    return f"{100 * share:g} % of the batches"


def _tokens(plan: Plan) -> str:
    shape = plan.config.stem.out_shape(plan.config.image)
    grid = "×".join(map(str, shape.grid)) if shape.grid else str(shape.tokens)
    image = plan.config.image
    return f"images of {image.channels}×{image.height}×{image.width} as {grid} tokens"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
