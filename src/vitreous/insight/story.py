"""One run as the page tells it: result, curves, mistakes, model, analyses, provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.evaluate import evaluate
from vitreous.evaluation.result import EvaluationResult
from vitreous.insight.analyze import analyze
from vitreous.insight.chart import Chart, Line, Lines, Matrix
from vitreous.insight.images import sample
from vitreous.insight.pick import Pick, maps_to_pick, png
from vitreous.insight.result import AnalysisResult
from vitreous.insight.subjects import Subject, subject
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.redaction import redact
from vitreous.runs.record import RunRecord, read_run
from vitreous.training.metrics_log import read_events

MOST_MISTAKES, MOST_CONFUSED = 24, 40
PROBED = {
    "hfd": "high-frequency share",
    "head_diversity": "spread of the heads, px",
    "token_similarity": "mean cosine",
    "entropy": "share of the largest entropy",
}
HIDDEN = ("host", "cwd", "user", "pid")  # nothing of the machine's owner goes into a page that is mailed


@dataclass(frozen=True)
class Mistake:
    """A wrong answer with its picture."""

    picture: str
    true: str
    predicted: str
    probability: float


@dataclass(frozen=True)
class LayerRow:
    """A layer as it is drawn: shares are of the largest layer, 0 to 1."""

    name: str
    what: str
    tokens: int
    width: int
    parameters: int
    macs: int
    share_macs: float
    share_parameters: float


@dataclass(frozen=True)
class Story:
    """Everything about a run; what could not be had is a sentence in `missing`."""

    name: str
    record: RunRecord
    headline: str
    metrics: dict[str, float]
    curves: tuple[Chart, ...]
    confusion: Chart | None
    confused: tuple[tuple[str, str, int], ...]
    mistakes: tuple[Mistake, ...]
    config: VisionTransformer | None
    layers: tuple[LayerRow, ...]
    macs: int | None
    parameters: int | None
    analysis: AnalysisResult | None
    pick: Pick | None
    provenance: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    missing: tuple[str, ...]

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.record.settings.get("seed") or 0)


def story(run: Path, name: str, *, images: int, device: str, only: list[str]) -> Story:
    """Read a run, measure it, and look inside where its model and images are there.

    Raises:
        ConfigError: the folder holds no run.
    """
    record = read_run(run)
    missing: list[str] = []
    who: Subject | None = None
    measured: EvaluationResult | None = None
    looked: AnalysisResult | None = None
    pick: Pick | None = None
    mistakes: list[Mistake] = []
    try:
        who = subject(str(run), device=torch.device("cpu"))
    except ConfigError as error:
        missing.append(f"There is no finished model: {error}.")
    if who is not None:
        try:
            measured = evaluate(run, device=device)
            drawn = sample(None, run=who.run, classes=who.classes, split=None, images=10**9, seed=0)
            mistakes = _mistakes(measured, drawn)
            few = next(drawn.batches(who.preprocessing, 4, torch.device("cpu"), 4))[0]
            pixels = [_pixels(who, drawn, row) for row in drawn.rows[:4]]
            pick = maps_to_pick(who.model, few, pixels)
            looked = analyze(str(run), images=images, device=device, only=only or None)
        except (ConfigError, DataError) as error:
            missing.append(f"Its images could not be looked at: {error}.")
    metrics = dict(measured.metrics) if measured else {}
    best = record.best
    reached = (
        measured.headline + f" on {len(measured.answers):,} {measured.split} images" if measured else None
    )
    headline = reached or (
        f"best {100 * best:.2f} % in training" if best is not None else "no validation yet"
    )
    config = who.config if who is not None else None
    return Story(
        name=name,
        record=record,
        headline=headline,
        metrics=metrics,
        curves=_curves(run),
        confusion=_confusion(measured),
        confused=tuple(measured.confusions()[:12]) if measured else (),
        mistakes=tuple(mistakes),
        config=config,
        layers=layers_of(config),
        macs=cost(config).macs if config is not None else None,
        parameters=cost(config).parameters if config is not None else None,
        analysis=looked,
        pick=pick,
        provenance=provenance_of(record),
        missing=tuple(missing),
    )


def _mistakes(measured: EvaluationResult, drawn: Any) -> list[Mistake]:
    where = {drawn.split.where(row): row for row in drawn.rows}
    found = []
    for each in measured.mistakes()[:MOST_MISTAKES]:
        if each.where in where:
            image = drawn.split.image(where[each.where]).convert("RGB")
            image.thumbnail((96, 96))
            found.append(Mistake(png(np.asarray(image)), each.true, each.predicted, each.probability))
    return found


def _pixels(who: Subject, drawn: Any, row: int) -> Any:
    pixels = who.preprocessing.fit(drawn.split.image(row))
    rgb = pixels.expand(3, -1, -1) if pixels.shape[0] == 1 else pixels
    return rgb.permute(1, 2, 0).contiguous().numpy()


def _curves(run: Path) -> tuple[Chart, ...]:
    log = run / "metrics.jsonl"
    events = read_events(log) if log.exists() else []

    def curve(key: str, name: str, scale: float = 1.0) -> list[Line]:
        points = [
            (float(e["epoch"]), scale * float(e[key])) for e in events if isinstance(e.get(key), int | float)
        ]
        step = max(1, len(points) // 200)
        points = points[::step]
        return [Line(name, tuple(x for x, _ in points), tuple(y for _, y in points))] if points else []

    charts = []
    for title, y, lines in (
        (
            "Loss",
            "cross-entropy",
            [*curve("train/loss", "training (augmented)"), *curve("val/loss", "validation")],
        ),
        (
            "Accuracy",
            "top-1, %",
            [
                *curve("val/top1", "validation", 100),
                *curve("val_ema/top1", "validation, averaged weights", 100),
            ],
        ),
        ("Mean average precision", "%", [*curve("val/map", "validation", 100)]),
        ("Learning rate", "rate", curve("optim/lr", "rate")),
    ):
        if lines:
            charts.append(Lines(title=title, x="epoch", y=y, lines=tuple(lines)))
    probes = sorted({key.rpartition("/")[0] for e in events for key in e if key.startswith("probe/")})
    for probe in probes:
        keys = sorted({key for e in events for key in e if key.startswith(f"{probe}/")})
        lines = [
            line
            for key in keys[:: max(1, -(-len(keys) // 7))]
            for line in curve(key, f"layer {key.rpartition('/L')[2].lstrip('0') or '0'}")
        ]
        name = probe.removeprefix("probe/")
        y = PROBED.get(name, "value")
        charts.append(Lines(title=f"Probe {name}", x="epoch", y=y, lines=tuple(lines)))
    return tuple(charts)


def _confusion(measured: EvaluationResult | None) -> Chart | None:
    if measured is None or measured.confusion is None or len(measured.classes) > MOST_CONFUSED:
        return None
    counts = measured.confusion
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    return Matrix(
        title="Confusion: rows are true classes, columns predicted ones, share of the row",
        rows=measured.classes,
        columns=measured.classes,
        values=tuple(tuple(float(v) for v in row) for row in shares),
        low=0,
        high=1,
        x="predicted",
        y="true",
    )


def layers_of(config: VisionTransformer | None) -> tuple[LayerRow, ...]:
    """Every slot and layer of a model with its cost."""
    if config is None:
        return ()
    rows = cost(config).by_layer
    most_macs, most_parameters = max(e.macs for e in rows) or 1, max(e.parameters for e in rows) or 1
    parts: dict[str, Any] = {
        "stem": config.stem,
        "prefix": config.prefix,
        "position": config.position,
        "head": config.head,
    }
    parts |= {f"layers.{number}": layer for number, layer in enumerate(config.layers)}
    return tuple(
        LayerRow(
            each.name,
            " ".join(repr(parts[each.name]).split()) + (f" · {each.shares}" if each.shares else ""),
            each.tokens,
            each.width,
            each.parameters,
            each.macs,
            each.macs / most_macs,
            each.parameters / most_parameters,
        )
        for each in rows
    )


def provenance_of(record: RunRecord) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Settings, data, code and machine."""
    state = {
        key: record.state[key]
        for key in ("state", "start", "end", "wall_s", "git", "commit", "dirty", "argv", "exit_code")
        if key in record.state
    }
    return (
        ("Run", in_rows({"condition": record.condition, **state})),
        ("Settings", in_rows(record.settings)),
        ("Data", in_rows(record.data)),
        ("Environment", in_rows(record.environment)),
    )


def in_rows(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values as text, without names of people, machines or places."""
    return tuple(
        (str(key), redact(_short(value)))
        for key, value in values.items()
        if str(key).rpartition(".")[2] not in HIDDEN and value not in (None, "", [], {})
    )


def _short(value: Any) -> str:
    """A value as text: paths by their last part, nothing longer than a line or two."""
    if isinstance(value, list | tuple):
        return " ".join(_short(each) for each in value)[:300]
    name, equals, text = str(value).rpartition("=") if str(value).startswith("-") else ("", "", str(value))
    if text.startswith(("/", "~")) or (len(text) > 2 and text[1:3] == ":\\"):
        text = Path(text).name
    text = name + equals + text  # `--out=FOLDER`
    return text if len(text) <= 300 else text[:299] + "…"
