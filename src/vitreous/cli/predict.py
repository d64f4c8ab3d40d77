"""`vitreous predict`: pictures in, names and probabilities out.

Every readable picture gets its answer; the exit code is 3 where one could not be read.
"""

import csv
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitreous.cli.options import Verb, parse
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.settings import PredictSettings

if TYPE_CHECKING:
    from vitreous.evaluation.prediction import Prediction

VERB = Verb(
    name="predict",
    settings=PredictSettings,
    example="vitreous predict runs/flowers rose.jpg",
    positionals=("run", "files"),
)
FIGURES = (".png", ".pdf", ".svg")


def run(words: Sequence[str]) -> int:
    """Parse, predict, print."""
    asked = parse(VERB, words)
    settings = asked.settings
    for place in (settings.csv, settings.figure):
        if place:
            _check_writable(Path(place))
    if settings.figure and Path(settings.figure).suffix.lower() not in FIGURES:
        raise ConfigError(f"--figure {settings.figure}: .png, .pdf or .svg works")
    from vitreous.evaluation.device import choose_device
    from vitreous.evaluation.prediction import list_pictures, predict
    from vitreous.interop.model_folder import load

    classifier = load(settings.run, device=choose_device(settings.device))
    if settings.turns is not None:
        classifier = classifier.with_turns(settings.turns)
    pictures = list_pictures(settings.files)
    answers = predict(classifier, pictures, top=settings.top, batch_size=settings.batch_size)
    if settings.csv:
        _write_csv(answers, Path(settings.csv))
    if settings.figure:
        from vitreous.evaluation.files import draw_predictions

        draw_predictions(answers, pictures, classifier, Path(settings.figure))
    if asked.as_json:
        print(json.dumps({"predictions": [dataclasses.asdict(each) for each in answers]}, ensure_ascii=False))
    else:
        _print(answers)
    failed = [each for each in answers if each.error]
    if failed:
        print(f"vitreous: {len(failed)} of {len(answers)} pictures could not be read", file=sys.stderr)
    return DataError.exit_code if failed else 0


def _print(answers: "list[Prediction]") -> None:
    from vitreous.cli.tables import print_table

    rows = []
    for each in answers:
        said = {name: f"{name} {value:.1%}" for name, value in each.probabilities.items()}
        answer = ", ".join(said.get(name, name) for name in each.labels) or "nothing"
        others = [text for name, text in said.items() if name not in each.labels]
        rows.append((each.path, "unreadable" if each.error else answer, each.error or ", ".join(others)))
    print_table(("picture", "answer", "then"), rows, names=3)


def _write_csv(answers: "list[Prediction]", path: Path) -> None:
    most = max(len(each.probabilities) for each in answers)
    header = [f"{kind}_{rank}" for rank in range(1, most + 1) for kind in ("class", "probability")]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["picture", *header, "error"])
        for each in answers:
            said = [word for name, value in each.probabilities.items() for word in (name, f"{value:.6f}")]
            table.writerow([each.path, *said, *[""] * (2 * most - len(said)), each.error or ""])


def _check_writable(path: Path) -> None:
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"{path} cannot be written: give a file in a folder that exists")
