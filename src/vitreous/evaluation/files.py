"""What evaluation and prediction write: a JSON object, a table, and pictures."""

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from vitreous.data.images import ImageSplit
from vitreous.data.preprocessing import ImageLike
from vitreous.evaluation.pictures import Tile, draw_confusion, draw_grid, shorten
from vitreous.evaluation.prediction import Prediction
from vitreous.evaluation.result import EvaluationResult
from vitreous.interop.classifier import Classifier
from vitreous.redaction import redact

MOST_MISTAKES = 24
MOST_PREDICTIONS = 36


def write_files(
    result: EvaluationResult, classifier: Classifier, images: ImageSplit, *, data: Sequence[str]
) -> None:
    """Write all files into the result's folder."""
    result.folder.mkdir(parents=True, exist_ok=True)
    name, split = classifier.config.name, result.split
    told: dict[str, Any] = {
        "schema_version": 1,
        "model": name,
        "data": list(data),
        "split": split,
        "metrics": result.metrics,
        "images_per_second": round(result.images_per_second, 1),
        "per_class": [dataclasses.asdict(each) for each in result.per_class],
        "classes": result.classes,
    }
    if result.confusion is not None:
        told["interval"] = "top1_low to top1_high: Wilson, 95 %, over the images"
        told["confusion"] = result.confusion.tolist()
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (result.folder / "evaluation.json").write_text(redact(text) + "\n", encoding="utf-8")
    with (result.folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["image", "true", "predicted", "right", "probability", "probability_of_true"])
        for each in result.answers:
            table.writerow(
                [
                    redact(each.where),
                    each.true,
                    each.predicted,
                    int(each.right),
                    f"{each.probability:.6f}",
                    f"{each.probability_of_true:.6f}",
                ]
            )
    if result.confusion is not None:
        draw_confusion(
            result.confusion,
            result.classes,
            result.folder / "confusion.png",
            f"{name} on {split}: {result.headline}, {len(result.answers):,} images",
        )
    _draw_mistakes(result, classifier, images, result.folder / "mistakes.png")


def _draw_mistakes(result: EvaluationResult, classifier: Classifier, images: ImageSplit, path: Path) -> None:
    numbers = [number for number, each in enumerate(result.answers) if not each.right]
    worst = sorted(numbers, key=lambda number: -result.answers[number].probability)[:MOST_MISTAKES]
    tiles = []
    for number in worst:
        answer = result.answers[number]
        said = f"said: {_answer(answer.predicted or 'nothing', answer.probability, 15)}"
        tiles.append(
            Tile(
                _as_image(classifier.preprocessing.to_uint8(images.image(number))),
                (f"true: {shorten(answer.true or 'nothing', 20)}",),
                said,
            )
        )
    title = f"{classifier.config.name} on {result.split}: no mistakes in {len(result.answers):,} images"
    if numbers:
        counted = f"{len(numbers):,} mistake{'s' * (len(numbers) > 1)}"
        most = "" if len(worst) == len(numbers) else f", the {len(worst)} most confident"
        title = f"{classifier.config.name} on {result.split}: {counted}{most}, as the model sees them"
    draw_grid(tiles, path, title)


def draw_predictions(
    answers: Sequence[Prediction], pictures: Sequence[ImageLike], classifier: Classifier, path: Path
) -> None:
    """The first pictures as the model sees them, with name and probability."""
    tiles = []
    for answer, picture in list(zip(answers, pictures, strict=True))[:MOST_PREDICTIONS]:
        name = shorten(Path(answer.path).name, 24)
        if answer.error is not None:
            tiles.append(Tile(None, (name,)))
            continue
        seen = _as_image(classifier.preprocessing.load(picture))
        tiles.append(Tile(seen, (name, _answer(answer.label or "nothing", answer.probability or 0, 20))))
    shown = (
        f"{len(tiles)} of {len(answers):,} pictures"
        if len(tiles) < len(answers)
        else f"{len(tiles)} pictures"
    )
    draw_grid(tiles, path, f"{classifier.config.name}: {shown}, as the model sees them")


def _answer(label: str, probability: float, most: int) -> str:
    return f"{shorten(label, most)}, {100 * probability:.0f} %"


def _as_image(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels[0].numpy() if len(pixels) == 1 else pixels.permute(1, 2, 0).numpy())
