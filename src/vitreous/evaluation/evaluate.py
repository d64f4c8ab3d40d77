"""Measuring a trained model on labelled images, with its own preprocessing and class map.

Without other data, a run is measured on its own validation images, exactly those that its training held out;
its test images are touched only when asked for by name.
"""

import dataclasses
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from vitreous.analysis.multi_label import THRESHOLD
from vitreous.data.batches import Batches, make_batches
from vitreous.data.images import ImageSplit, open_images
from vitreous.data.loading import Loading
from vitreous.data.sources import find_source
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.device import choose_device
from vitreous.evaluation.files import write_files
from vitreous.evaluation.metrics import Measurement, Meter
from vitreous.evaluation.multi_label_meter import MultiLabelMeter
from vitreous.evaluation.result import Answer, EvaluationResult
from vitreous.evaluation.settings import EvaluateSettings
from vitreous.interop.classifier import Classifier
from vitreous.interop.model_folder import load
from vitreous.training.run_folder import INPUT
from vitreous.training.world import World, joined, lost_processes_named

logger = logging.getLogger("vitreous")
SPLIT_FILE = "split.csv"
PATIENCE_S = 600.0  # for another process


def evaluate(
    run: str | Path,
    data: str | Path | Sequence[str | Path] | None = None,
    *,
    split: str | None = None,
    out: str | Path | None = None,
    device: str = EvaluateSettings.device,
    batch_size: int = EvaluateSettings.batch_size,
    turns: int | None = EvaluateSettings.turns,
    loading: Loading | Mapping[str, Any] | None = None,
) -> EvaluationResult:
    """Measure a model and write metrics, answers and pictures.

    Args:
        run: run folder or model folder.
        data: as for training; by default the images of the run.
        split: `train`, `val` or `test`; by default the run's `val`, or of given data the first of `test`,
            `val`, `train` that there is, or all where nothing is named.
        out: folder of the results, by default `evaluation-…` inside `run`.
        device: `cpu`, `cuda`, …, or `auto`.
        batch_size: images at a time.
        turns: of a recursive model, fewer than it was trained with; None for all.
        loading: how images are read, or some fields of it; the rest is as the run did.

    Raises:
        ConfigError: no model there, no data known, an `out` that holds something else.
        DataError: images that are missing, cannot be read, or have classes that the model does not know.
    """
    if batch_size < 1:
        raise ConfigError(f"--batch-size is {batch_size}; 1 or more works")
    with joined(device=device, timeout_s=PATIENCE_S) as world, lost_processes_named():
        place, asked_split = Path(run), split
        classifier = world.led(lambda: load(place, device=choose_device(device)))
        if turns is not None:
            classifier = classifier.with_turns(turns)
        run_dir = next((each for each in (place, place.parent) if (each / INPUT).exists()), None)
        stored = _stored(run_dir)
        reading = _loading(stored, loading)
        images, name, split, rows = world.led(
            lambda: _images(classifier, run_dir, stored, data, asked_split, reading)
        )
        if turns is not None:
            name = f"{name}-turns-{turns}"
        folder = world.by_first(lambda: _folder(out, place, name, images))
        started = time.perf_counter()
        measurement, answers = _measure(classifier, rows, batch_size, reading, world)
        result = EvaluationResult(
            split=split,
            metrics={f"{split}/{key}": value for key, value in measurement.values.items()},
            per_class=measurement.per_class,
            classes=classifier.classes,
            confusion=measurement.confusion,
            answers=answers,
            images_per_second=len(rows) / (time.perf_counter() - started),
            folder=folder,
        )
        world.by_first(lambda: write_files(result, classifier, rows, data=images))
        return result


def _images(
    classifier: Classifier,
    run_dir: Path | None,
    stored: Mapping[str, Any],
    data: str | Path | Sequence[str | Path] | None,
    split: str | None,
    reading: Loading,
) -> tuple[list[str], str, str, ImageSplit]:
    """The data argument, a name for the results, the split's name and its images."""
    own = stored.get("data", [])
    given = (
        own if data is None else [str(data)] if isinstance(data, str | Path) else [str(each) for each in data]
    )
    if not given:
        raise ConfigError("a model folder does not know which images to measure on; give them with --data")
    if [_absolute(each) for each in given] == [_absolute(each) for each in own]:
        split = split or "val"
        name, split_file = split, (run_dir or Path()) / SPLIT_FILE
        if not split_file.exists() and split not in find_source(given, reading).parts:
            raise ConfigError(
                f"{split_file} is missing, so nobody knows which images were held out of training; "
                "give other images with --data"
            )
    else:
        parts = find_source(given, reading).parts
        split = split or next((each for each in ("test", "val", "train") if each in parts), "all")
        plain = given[0].removeprefix("wds:").removeprefix("hf:")
        first = re.split(r"[*?\[{:]", Path(plain).stem)[0].strip("-_.")
        name, split_file = f"{first or 'data'}-{split}", None
    # the training images of a run are those that its validation split left over
    need = ("train", "val") if split == "train" and split_file and split_file.exists() else (split,)
    try:
        opened = open_images(
            given,
            loading=dataclasses.replace(reading, look="all"),  # each answer is kept with its image
            seed=stored.get("seed", 0),
            split_file=split_file,
            classes=classifier.classes,
            need=need,
        )
    except DataError as error:
        if data is not None or run_dir is None:
            raise
        raise DataError(f"the images of {run_dir}: {error}; --data names another place") from error
    logger.info("%s", opened.scan)
    found = opened.splits[split]
    if found.multi_label != classifier.multi_label:
        learned, labelled = (
            "any number of classes an image" if several else "one class an image"
            for several in (classifier.multi_label, found.multi_label)
        )
        raise DataError(f"the model has learned {learned}, and these images are labelled with {labelled}")
    return given, name, split, opened.splits[split]


@torch.no_grad()
def _measure(
    classifier: Classifier, split: ImageSplit, batch_size: int, loading: Loading, world: World
) -> tuple[Measurement, tuple[Answer, ...]]:
    batches = make_batches(
        split,
        classifier.preprocessing,
        batch_size=batch_size * world.size,
        device=classifier.device,
        loading=dataclasses.replace(loading, skip_unreadable=False),  # such images are left out already
        train=False,
        shard=world.shard(),
    )
    meter = MultiLabelMeter(classifier.classes) if split.multi_label else Meter(classifier.classes)
    answers: list[Answer] = []
    for logits, labels in _outputs(classifier, batches, world):
        meter.update(logits, labels)
        say = _sets if split.multi_label else _answers
        probabilities = classifier.probabilities(logits).cpu()
        answers += say(classifier.classes, split, len(answers), probabilities, labels.cpu())
    return meter.result(), tuple(answers)


def _outputs(
    classifier: Classifier, batches: Batches, world: World
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits and labels of every batch in order; of several processes' batches, in all of them."""

    def own() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels, _ in batches.all():
            shown = images if len(images) else images.new_zeros(1, *images.shape[1:])
            inputs = classifier.preprocessing.normalize(shown)
            logits = classifier(inputs.contiguous(memory_format=torch.channels_last)).float()
            yield logits[: len(labels)], labels

    if world.alone:
        yield from own()
        return
    told = world.gathered([(logits.cpu(), labels.cpu()) for logits, labels in own()])
    for pieces in zip(*told, strict=True):
        logits, labels = zip(*pieces, strict=True)
        yield torch.cat(logits), torch.cat(labels)


def _answers(
    classes: tuple[str, ...], split: ImageSplit, start: int, probabilities: torch.Tensor, labels: torch.Tensor
) -> Iterator[Answer]:
    highest, said = probabilities.max(dim=1)
    of_true = probabilities.gather(1, labels[:, None])[:, 0]
    for i, (label, predicted) in enumerate(zip(labels.tolist(), said.tolist(), strict=True)):
        yield Answer(
            where=split.where(start + i),
            true=classes[label],
            predicted=classes[predicted],
            probability=float(highest[i]),
            probability_of_true=float(of_true[i]),
        )


def _sets(
    classes: tuple[str, ...], split: ImageSplit, start: int, probabilities: torch.Tensor, labels: torch.Tensor
) -> Iterator[Answer]:
    """Answers of any number of classes; what a set's probability is, `Answer` says."""

    def joined(row: torch.Tensor) -> str:
        return "|".join(name for name, has in zip(classes, row.tolist(), strict=True) if has)

    true, said = labels.bool(), probabilities >= THRESHOLD
    for i, mine in enumerate(probabilities):
        yield Answer(
            where=split.where(start + i),
            true=joined(true[i]),
            predicted=joined(said[i]),
            probability=float(torch.where(said[i], mine, 1 - mine).prod()),
            probability_of_true=float(torch.where(true[i], mine, 1 - mine).prod()),
        )


def _stored(run_dir: Path | None) -> dict[str, Any]:
    """The settings that a run was started with."""
    if run_dir is None:
        return {}
    try:
        stored = yaml.safe_load((run_dir / INPUT).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{run_dir / INPUT} cannot be read: {error}") from error
    return stored if isinstance(stored, dict) else {}


def _loading(stored: Mapping[str, Any], wanted: Loading | Mapping[str, Any] | None) -> Loading:
    if isinstance(wanted, Loading):
        return wanted
    known = {each.name for each in dataclasses.fields(Loading)}
    used = {name: value for name, value in stored.get("loading", {}).items() if name in known}
    return Loading(**{**used, **(wanted or {})})


def _folder(out: str | Path | None, place: Path, name: str, data: Sequence[str]) -> Path:
    """Where results go: never into the user's images, never over something else."""
    folder = Path(out) if out is not None else place / f"evaluation-{name}"
    for each in data:
        images = Path(each)
        if images.is_dir() and folder.resolve().is_relative_to(images.resolve()):
            raise ConfigError(f"--out {folder} lies inside the images of {each}; give a place outside")
    if folder.is_file():
        raise ConfigError(f"--out {folder} is a file; give a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / "evaluation.json").exists():
        raise ConfigError(
            f"--out {folder} holds something that is no evaluation; give a new or an empty folder"
        )
    return folder


def _absolute(data: str) -> str:
    return str(Path(data).resolve()) if Path(data).exists() else data
