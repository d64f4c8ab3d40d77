"""`vitreous models`: the catalog as a table, or one model as the value that it is, with its cost by layer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitreous.cli.options import Verb, parse
from vitreous.cli.pixels import image_size
from vitreous.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The models that can be trained.

    Args:
        pattern: names to list, as a shell pattern such as `*eit*`.
    """

    pattern: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShowSettings:
    """One model: its description, what each layer costs, and what it shares with whom.

    Args:
        name_or_file: a name from `vitreous models list`, or a paper's own; or a model's JSON file.
        image_size: pixels; one number for a square, `ROWSxCOLUMNS` for a rectangle.
        classes: number of classes, 0 for features; the file's own, or 1000.
        channels: 1 for grey images, 3 for colour; the file's own, or 3.
        out: JSON file to write the description to, for editing and for `vitreous train --model FILE`.
    """

    name_or_file: str
    image_size: str | None = None
    classes: int | None = None
    channels: int | None = None
    out: str | None = None


LIST = Verb(
    name="models list",
    settings=ListSettings,
    example='vitreous models list "*eit*"',
    positionals=("pattern",),
)
SHOW = Verb(
    name="models show",
    settings=ShowSettings,
    example="vitreous models show eit_tiny --classes 10",
    positionals=("name_or_file",),
)


def run(words: Sequence[str]) -> int:
    """`list` (also without a word) or `show NAME_OR_FILE`."""
    kinds = {"list": _list, "show": _show}
    first = words[0] if words else "list"
    if first in kinds:
        return kinds[first](words[1:])
    if first in ("-h", "--help"):
        print("usage: vitreous models list [PATTERN]\n       vitreous models show NAME_OR_FILE [options]\n")
        print(f"For example: {SHOW.example}")
        return 0
    if first.startswith("-"):
        return _list(words)
    raise ConfigError(f"models {first}: list and show NAME_OR_FILE work{did_you_mean(first, kinds, most=1)}")


def _list(words: Sequence[str]) -> int:
    asked = parse(LIST, words)
    from vitreous.analysis.cost import cost
    from vitreous.models.catalog import CATALOG, config, list_models

    pattern = asked.settings.pattern or "*"
    names = list_models(pattern)
    if not names:
        raise ConfigError(
            f"models list: no model matches {pattern}{did_you_mean(pattern.strip('*'), list_models())}"
        )
    known = [config(name) for name in names]
    costs = [cost(each) for each in known]
    if asked.as_json:
        told = [
            {
                "name": each.name,
                "source": each.source,
                "paper": CATALOG[each.name].paper,
                "image_size": [each.image.height, each.image.width],
                "parameters": price.parameters,
                "macs": price.macs,
            }
            for each, price in zip(known, costs, strict=True)
        ]
        print(json.dumps({"models": told}))
        return 0
    from vitreous.cli.tables import print_table

    rows = [
        (
            each.name,
            each.source,
            f"{each.image.height}×{each.image.width}",
            f"{price.parameters / 1e6:.2f} M",
            f"{price.macs / 1e9:.3f}",
            CATALOG[each.name].paper,
        )
        for each, price in zip(known, costs, strict=True)
    ]
    columns = ("name", "source", "image", "parameters", "GMACs", "paper")
    print_table(columns, rows, names=2, remarks=1)
    print(
        "\nGMACs are what papers call GFLOPs. Counted with 1,000 classes at the size each is known at.\n"
        "vitreous models show NAME has the layers."
    )
    return 0


def _show(words: Sequence[str]) -> int:
    asked = parse(SHOW, words)
    settings = asked.settings
    from vitreous.analysis.cost import cost
    from vitreous.models.as_json import to_json
    from vitreous.models.catalog import CATALOG
    from vitreous.models.described import described as describe

    described = describe(
        settings.name_or_file,
        image_size=image_size(settings.image_size),
        classes=settings.classes,
        channels=settings.channels,
    )
    price = cost(described)
    paper = CATALOG[described.name].paper if described.name in CATALOG else None
    if settings.out:
        path = Path(settings.out)
        if path.exists() or not path.parent.is_dir():
            raise ConfigError(f"--out {path}: give a file that does not exist, in a folder that does")
        path.write_text(json.dumps(to_json(described), indent=1) + "\n", encoding="utf-8")
    if asked.as_json:
        told = {
            "model": to_json(described),
            "source": described.source,
            "paper": paper,
            "parameters": price.parameters,
            "macs": price.macs,
            "macs_without_attention_products": price.macs_without_attention_products,
            "by_layer": [vars(each) for each in price.by_layer],
        }
        print(json.dumps(told))
        return 0
    from vitreous.cli.tables import print_table

    print(described)
    print()
    rows = [
        (
            each.name,
            f"{each.tokens:,}",
            f"{each.width:,}",
            f"{each.parameters:,}",
            f"{each.macs / 1e6:,.2f}",
            each.shares,
        )
        for each in price.by_layer
    ]
    rows.append(("all", "", "", f"{price.parameters:,}", f"{price.macs / 1e6:,.2f}", ""))
    shared = any(each.shares for each in price.by_layer)
    columns = ("layer", "tokens", "width", "parameters", "million MACs", "shares" if shared else "")
    print_table(columns, rows, remarks=1)
    name, source = described.name or "a model without a name", described.source or "not told"
    print(f"\n{name}; source: {source}{f'; paper: {paper}' if paper else ''}.")
    without = price.macs_without_attention_products / 1e6
    print(f"Without the two products inside attention, as many papers count, {without:,.2f} million MACs.")
    if price.macs_executed != price.macs:
        executed = price.macs_executed / 1e6
        print(f"Executed are {executed:,.2f} million: maps that are cheaper to compute again than to keep.")
    return 0
