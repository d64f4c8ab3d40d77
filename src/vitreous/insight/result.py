"""What `analyze` gives: every number, a sentence each, pictures, and the folder with all of it."""

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError
from vitreous.insight.chart import Chart, in_words
from vitreous.insight.draw import draw
from vitreous.insight.listed import ANALYSES
from vitreous.redaction import redact

FILE, PAGE = "analysis.json", "analysis.md"


@dataclass(frozen=True)
class Looked:
    """One model: what was found, of it and of its untrained control, and the sentences about it."""

    name: str
    trained: bool
    facts: dict[str, Any]
    notes: tuple[str, ...]
    found: dict[str, dict[str, Any]]
    control: dict[str, dict[str, Any]]
    shows: dict[str, str]
    charts: dict[str, tuple[Chart, ...]]


@dataclass(frozen=True)
class AnalysisResult:
    """The result of one call.

    Args:
        models: in the order given.
        images: how many were looked at, and of the controls.
        data: what they are.
        seed: of the draw.
        device: where it ran.
        together: charts of all models side by side, by analysis.
        between: what compares models: CKA by pair, correlation over seeds; with sentences.
        folder: where it was written; None where it was not.
    """

    models: tuple[Looked, ...]
    images: int
    control_images: int
    data: str
    seed: int
    device: str
    together: dict[str, tuple[Chart, ...]]
    between: dict[str, Any]
    folder: Path | None = None

    def __repr__(self) -> str:
        names = ", ".join(each.name for each in self.models)
        return f"AnalysisResult({names}; {len(self.models[0].found)} analyses over {self.images:,} images)"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema_version": 1,
            "images": self.images,
            "control_images": self.control_images,
            "data": self.data,
            "seed": self.seed,
            "device": self.device,
            "models": [
                {
                    "name": each.name,
                    "trained": each.trained,
                    **each.facts,
                    "notes": list(each.notes),
                    "analyses": {
                        name: {
                            "shows": each.shows[name],
                            "values": each.found[name],
                            "untrained": each.control.get(name, {}),
                        }
                        for name in each.found
                    },
                }
                for each in self.models
            ],
            "between": self.between,
        }


def check_folder(folder: Path, data: str | Path | None) -> None:
    """Raises ConfigError for a folder that holds something else, is a file, or lies inside the images."""
    if folder.is_file():
        raise ConfigError(f"--out {folder} is a file; give a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / FILE).exists():
        raise ConfigError(
            f"--out {folder} holds something that is no analysis; give a new or an empty folder"
        )
    if data is not None and Path(data).is_dir() and folder.resolve().is_relative_to(Path(data).resolve()):
        raise ConfigError(f"--out {folder} lies inside the images of {data}; give a place outside")


def write(result: AnalysisResult, folder: Path) -> None:
    """`analysis.json`, `analysis.md` and a PNG for each chart."""
    folder.mkdir(parents=True, exist_ok=True)
    text = redact(
        json.dumps(result.to_json(), indent=1, ensure_ascii=False, allow_nan=False, default=_number)
    )
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
    lines = ["# What happens inside", "", *_head(result), ""]
    for name in ANALYSES:
        if not any(name in each.found for each in result.models):
            continue
        analysis = ANALYSES[name]
        lines += [f"## {analysis.title}", "", analysis.how, ""]
        for number, chart in enumerate(result.together.get(name, ())):
            lines += _picture(folder, f"{name}-together-{number}", chart)
        for place, each in enumerate(result.models):
            lines += [f"**{escaped(each.name)}** {escaped(each.shows[name])}", ""]
            for number, chart in enumerate(each.charts.get(name, ())):
                lines += _picture(folder, f"{name}-{place}-{slug(each.name)}-{number}", chart)
    for key, told in result.between.items():
        lines += [f"## {key.replace('_', ' ').capitalize()}", "", escaped(told["shows"]), ""]
    (folder / PAGE).write_text(redact("\n".join(lines)) + "\n", encoding="utf-8")


def slug(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:40] or "model"


def escaped(text: str) -> str:
    """Text that no reader of Markdown or HTML takes for anything else."""
    return re.sub(r"([\\`*_\[\]|#!])", r"\\\1", html.escape(text, quote=False)).replace("\n", " ")


def finite(value: Any) -> Any:
    """The same with None where a number is not finite, which JSON has no word for."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _head(result: AnalysisResult) -> list[str]:
    lines = [
        f"{result.images:,} images of {escaped(result.data)}; untrained controls over "
        f"{result.control_images:,}; seed {result.seed}; {result.device}.",
        "",
        "| model | parameters | million MACs | notes |",
        "|---|---|---|---|",
    ]
    for each in result.models:
        macs = each.facts.get("macs")
        told = "–" if macs is None else f"{macs / 1e6:,.1f}"
        notes = escaped("; ".join(each.notes)) or "–"
        lines.append(f"| {escaped(each.name)} | {each.facts['parameters']:,} | {told} | {notes} |")
    return lines


def _picture(folder: Path, name: str, chart: Chart) -> list[str]:
    draw(chart, folder / f"{name}.png")
    return [f"![{escaped(in_words(chart))}]({name}.png)", ""]
