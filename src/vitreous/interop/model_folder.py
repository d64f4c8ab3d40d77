"""The deliverable of a training run: a folder that holds a model and all that is needed to use it.

    model.safetensors   weights, each stored once
    config.json         the description of the architecture, exact
    labels.json         class names in output order, and whether a picture may have several
    preprocess.json     how pictures become its input
    README.md           the card

Nothing in it is a pickle, so that opening a stranger's folder runs nobody's code. The folder appears at once
or not at all: it is written beside its place, synced, and renamed.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from torch import nn

from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import ConfigError, VitreousError
from vitreous.interop.classifier import Classifier
from vitreous.interop.model_card import model_card
from vitreous.models.as_json import from_json, to_json
from vitreous.models.fold import FoldedModule
from vitreous.models.vision_transformer import VisionTransformer, build

WEIGHTS, CONFIG, LABELS, PREPROCESS, CARD = FILES = (
    "model.safetensors",
    "config.json",
    "labels.json",
    "preprocess.json",
    "README.md",
)
MEASURED_WITH = "measured_with"
"""Key of `preprocess.json`: a copy of the values that the model's accuracy was measured with."""
logger = logging.getLogger("vitreous")
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar"}


def save_model(
    folder: Path | str,
    model: nn.Module,
    *,
    classes: Sequence[str],
    preprocessing: Preprocessing,
    metrics: Mapping[str, float],
    provenance: Mapping[str, Any],
    multi_label: bool = False,
) -> Path:
    """Write a model folder, replacing an earlier one at the same place.

    Args:
        folder: where; its parent is made where it is missing.
        model: what `vitreous.build` returns, on any device.
        classes: one name for each output.
        preprocessing: how pictures become the model's input.
        metrics: measured values under the names of `metrics.jsonl`, for the card (`model/macs` included).
        provenance: `command`, `data`, `seed`, `settings` and what else the card should tell.
        multi_label: whether a picture may have any number of classes.

    Raises:
        ConfigError: the model is folded, the number of classes is not its own, or the folder holds something
            else.
    """
    folder = Path(folder)
    if isinstance(model, FoldedModule):
        raise ConfigError(
            f"{folder}: a folded model cannot be saved, for its constants have no place in the description; "
            "save the model that it was folded from, and fold it again where it is loaded"
        )
    config = model.config
    assert isinstance(config, VisionTransformer)
    if len(classes) != config.classes:
        raise ConfigError(
            f"{folder}: {len(classes)} class names do not fit a model with {config.classes} outputs"
        )
    if folder.exists() and any(folder.iterdir()) and not (folder / CONFIG).exists():
        raise ConfigError(f"{folder} holds something that is not a model; give a new or an empty folder")
    parameters = sum(each.numel() for each in model.parameters())
    card = model_card(
        config, classes=tuple(classes), parameters=parameters, metrics=metrics, provenance=provenance
    )
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_weights(model, str(draft / WEIGHTS), metadata={"format": "pt"})
    _write(draft / CONFIG, _as_text(to_json(config)))
    names = {"multi_label": True, "classes": list(classes)} if multi_label else list(classes)
    _write(draft / LABELS, _as_text(names))
    prepared = preprocessing.to_json()
    _write(draft / PREPROCESS, _as_text(prepared | ({MEASURED_WITH: prepared} if metrics else {})))
    _write(draft / CARD, card)
    _sync(draft / WEIGHTS)
    _sync(draft)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def load(path: Path | str, *, device: str | torch.device = "cpu") -> Classifier:
    """A trained model, ready for use: weights, class names and preprocessing.

    Args:
        path: a run folder or a model folder.
        device: where the weights go.

    Raises:
        ConfigError: nothing is there, it is not a model, it is a pickle, or its parts do not fit together.
    """
    folder = _model_folder(Path(path))
    config = _description(folder / CONFIG)
    with torch.random.fork_rng(
        devices=[]
    ):  # the first weights are thrown away: leave the caller's stream alone
        model = build(config)
    _fill(model, folder / WEIGHTS)
    classes = _json(folder / LABELS)
    multi_label = isinstance(classes, dict) and classes.get("multi_label") is True
    if multi_label:
        classes = classes.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ConfigError(f"{folder / LABELS}: a list of class names is expected")
    if len(classes) != config.classes:
        raise ConfigError(
            f"{folder / LABELS}: {len(classes)} class names do not fit a model with {config.classes} outputs"
        )
    try:
        prepared = _json(folder / PREPROCESS)
        measured_with = prepared.pop(MEASURED_WITH, None)
        preprocessing = Preprocessing.from_json(prepared)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder / PREPROCESS} does not describe a preprocessing: {error}") from error
    given = (preprocessing.channels, preprocessing.height, preprocessing.width)
    taken = (config.image.channels, config.image.height, config.image.width)
    if given != taken:
        raise ConfigError(
            f"{folder / PREPROCESS}: images of {_times(given)}, but the model takes {_times(taken)}"
        )
    _compare_preprocessing(folder / PREPROCESS, measured_with, preprocessing.to_json())
    classifier = Classifier(
        model, classes=tuple(classes), preprocessing=preprocessing, multi_label=multi_label
    )
    return classifier.to(device).eval()


def _compare_preprocessing(file: Path, before: Any, now: dict[str, Any]) -> None:
    """Say so where the model's numbers were measured with another preprocessing than it has now."""
    if not isinstance(before, dict):
        return
    now = json.loads(_as_text(now))  # tuples as lists, as the file has them
    changed = [f"{key} was {before.get(key)} and is {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        logger.warning(
            "%s was changed after the model was measured (%s): its accuracy is another one now",
            file, ", ".join(changed),
        )  # fmt: skip


def _model_folder(path: Path) -> Path:
    """The model folder that a user's path means, or an error that says what is there instead."""
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise ConfigError(
            f"{path} is a pickle, which can run code when it is opened, and is refused; "
            "give the run folder or a model folder with model.safetensors"
        )
    if not path.exists():
        raise ConfigError(f"{path} does not exist; give a run folder or a model folder")
    if path.is_file():
        raise ConfigError(f"{path} is a file; give the run folder or the model folder that holds {WEIGHTS}")
    folder = path / "model" if (path / "model" / CONFIG).exists() else path
    missing = [name for name in (CONFIG, WEIGHTS, LABELS, PREPROCESS) if not (folder / name).exists()]
    if not missing:
        return folder
    if CONFIG not in missing:
        raise ConfigError(f"{folder}: no {' and no '.join(missing)}; a model folder holds {', '.join(FILES)}")
    if (path / "checkpoints").is_dir():
        raise ConfigError(
            f"{path} is a run without a finished model yet; repeat the command that started it to continue"
        )
    pickles = sorted(each.name for each in path.iterdir() if each.suffix.lower() in PICKLES)
    if pickles:
        raise ConfigError(
            f"{path} holds {pickles[0]}, a pickle, which can run code when it is opened, and is refused; "
            f"a model folder holds {', '.join(FILES)}"
        )
    raise ConfigError(f"{path} is neither a run folder nor a model folder: it has no {CONFIG}")


def _description(path: Path) -> VisionTransformer:
    try:
        return from_json(_json(path))
    except VitreousError as error:
        raise ConfigError(f"{path}: {error}") from error


def _fill(model: nn.Module, path: Path) -> None:
    """Copy the weights in, or say where the file and the architecture first differ."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    try:
        with safe_open(str(path), framework="pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        other = [
            f"{name} is {found[name]} in the file and {shape} in the model"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ]
        if not other:
            # Only names are left to differ; a weight that two layers share is stored once and missing once.
            missing, unexpected = load_weights(model, str(path), strict=False)
            other += [f"{name} is missing" for name in sorted(missing)]
            other += [f"{name} is not part of the model" for name in sorted(unexpected)]
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is truncated, damaged, or not safetensors at all: {error}") from error
    if other:
        more = f", and {len(other) - 3} more" if len(other) > 3 else ""
        raise ConfigError(f"{path} does not fit {CONFIG}: {'; '.join(other[:3])}{more}")


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}") from error


def _as_text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    """Wait until a file or a folder's entries are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
