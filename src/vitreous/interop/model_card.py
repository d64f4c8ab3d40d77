"""The README.md of a model folder: what the model is, how it was trained, how good it is, where it ends.

Hugging Face's front matter comes first, so that a hub shows it. Nothing of the machine is in it: folders of
the command are reduced to their last name, secrets are hidden.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from vitreous.interop.references import references
from vitreous.models.catalog import CATALOG
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.redaction import redact

_FOLDERS = re.compile(r"(?<![\w:/.])(?:~|\.{1,2}|[A-Za-z]:)?[/\\](?:[^\s'\"/\\,\]]+[/\\])*([^\s'\"/\\,\]]*)")


def model_card(
    config: VisionTransformer,
    *,
    classes: tuple[str, ...],
    parameters: int,
    metrics: Mapping[str, float],
    provenance: Mapping[str, Any],
) -> str:
    """Markdown text of the card.

    Args:
        config: the model's description.
        classes: names of the classes in output order.
        parameters: numbers in the weights.
        metrics: measured values under the names of `metrics.jsonl`; fractions are 0 to 1.
        provenance: what led to the weights. `command`, `data`, `seed` and `settings` (a mapping) have their
            place; anything else is listed as it is.
    """
    image = config.image
    macs = metrics.get("model/macs")
    facts = [
        f"- architecture: `{config.name}` (source: {config.source})"
        + (f", {CATALOG[config.name].paper}" if config.name in CATALOG else ""),
        f"- parameters: {parameters:,}",
        *([f"- MACs of one image: {macs:,.0f}, the attention products counted"] if macs else []),
        f"- input: {image.channels}×{image.height}×{image.width} (channels, rows, columns), "
        "prepared as `preprocess.json` says",
        f"- classes ({len(classes)}): {_names(classes)}",
    ]
    measured = {name: value for name, value in metrics.items() if not name.startswith(("model/", "perf/"))}
    table = [f"| {name} | {value:.4f} |" for name, value in sorted(measured.items())]
    told = dict(provenance)
    command, settings = told.pop("command", None), told.pop("settings", None) or {}
    measurements = "Shares are fractions from 0 to 1.\n\n| | |\n|---|---|\n" + "\n".join(table)
    training = [
        *(["```sh", without_folders(str(command)), "```", ""] if command else []),
        *[f"- {name}: {without_folders(str(value))}" for name, value in told.items()],
        *[f"- {name}: {without_folders(str(value))}" for name, value in flatten(settings).items()],
    ]
    parts = [
        f"---\n{yaml.safe_dump(_front_matter(config, measured, provenance), sort_keys=False)}---",
        f"# {config.name}, {len(classes)} classes",
        "\n".join(facts),
        "## Use",
        '```python\nimport vitreous as vt\n\nmodel = vt.load("model")  # this folder\n'
        'vt.predict(model, ["picture.png"])\n```',
        "## Measured",
        measurements if table else "Nothing yet.",
        "## Training",
        "\n".join(training) if training else "Not recorded.",
        "## Limits",
        "The model knows the classes above and answers with one of them whatever it is shown. Its accuracy "
        "holds for images like those it was trained on; measure it on yours with `vitreous evaluate`.",
        *(
            ["## Citation", "\n".join(f"- {each}" for each in cited)]
            if (cited := references(config.name))
            else []
        ),
    ]
    return "\n\n".join(parts) + "\n"


def without_folders(text: str) -> str:
    """Secrets hidden and every path reduced to its last name: `/home/me/flowers` becomes `…/flowers`."""
    return _FOLDERS.sub(lambda match: f"…/{match[1]}" if match[1] else "…", redact(text))


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _front_matter(
    config: VisionTransformer, measured: Mapping[str, float], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    data = without_folders(str(provenance.get("data", "images")))
    matter: dict[str, Any] = {
        "library_name": "vitreous",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "vision-transformer", config.name],
        "metrics": ["accuracy"],
    }
    # A hub takes a result only where it is told of what: task, data, metric.
    results = [
        {
            "task": {"type": "image-classification"},
            "dataset": {"name": data, "type": "image-folder", "split": split},
            "metrics": [{"type": "accuracy", "value": round(float(measured[f"{split}/top1"]), 6)}],
        }
        for split in ("test", "val")
        if f"{split}/top1" in measured
    ]
    if results:
        matter["model-index"] = [{"name": config.name, "results": results}]
    return matter


def _names(classes: tuple[str, ...], most: int = 20) -> str:
    rest = f" and {len(classes) - most} more (`labels.json`)" if len(classes) > most else ""
    return ", ".join(f"`{name}`" for name in classes[:most]) + rest
