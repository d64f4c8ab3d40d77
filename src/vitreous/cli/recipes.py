"""`vitreous recipes`: the package's training recipes as a table, one of them, a copy to edit, the schema."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vitreous.cli.options import Verb, parse
from vitreous.errors import ConfigError, did_you_mean
from vitreous.recipes.flattened import described, flattened
from vitreous.recipes.shipped import recipe_names


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The recipes that `vitreous train --config NAME` takes.

    Args:
        pattern: names to list, as a shell pattern such as `*cifar*`.
    """

    pattern: str | None = None


@dataclass(frozen=True, kw_only=True)
class ShowSettings:
    """One recipe with all that it is based on; every value with its source.

    Args:
        name: from `vitreous recipes list`.
    """

    name: str


@dataclass(frozen=True, kw_only=True)
class CopySettings:
    """A recipe as a file of your own, to edit and to give to `vitreous train --config FILE`.

    Args:
        name: from `vitreous recipes list`.
        file: YAML file to write; one that exists is left alone.
    """

    name: str
    file: str


@dataclass(frozen=True, kw_only=True)
class SchemaSettings:
    """The JSON schema of config files, for editors."""


LIST = Verb(
    name="recipes list",
    settings=ListSettings,
    example='vitreous recipes list "*cifar*"',
    positionals=("pattern",),
)
SHOW = Verb(
    name="recipes show",
    settings=ShowSettings,
    example="vitreous recipes show cct_cifar10",
    positionals=("name",),
)
COPY = Verb(
    name="recipes copy",
    settings=CopySettings,
    example="vitreous recipes copy cct_cifar10 mine.yaml",
    positionals=("name", "file"),
)
SCHEMA = Verb(name="recipes schema", settings=SchemaSettings, example="vitreous recipes schema")


def run(words: Sequence[str]) -> int:
    """`list` (also without a word), `show NAME`, `copy NAME FILE` or `schema`."""
    kinds = {"list": _list, "show": _show, "copy": _copy, "schema": _schema}
    first = words[0] if words else "list"
    if first in kinds:
        return kinds[first](words[1:])
    if first in ("-h", "--help"):
        print(
            "usage: vitreous recipes list [PATTERN]\n       vitreous recipes show NAME\n"
            "       vitreous recipes copy NAME FILE\n       vitreous recipes schema\n"
        )
        print(f"For example: {SHOW.example}")
        return 0
    if first.startswith("-"):
        return _list(words)
    raise ConfigError(
        f"recipes {first}: list, show NAME, copy NAME FILE and schema work"
        + did_you_mean(first, kinds, most=1)
    )


def _list(words: Sequence[str]) -> int:
    asked = parse(LIST, words)
    pattern = asked.settings.pattern or "*"
    names = [name for name in recipe_names() if fnmatch(name, pattern)]
    if not names:
        raise ConfigError(
            f"recipes list: no recipe matches {pattern}{did_you_mean(pattern.strip('*'), recipe_names())}"
        )
    known = [described(name) for name in names]
    if asked.as_json:
        print(json.dumps({"recipes": [_in_short(each) for each in known]}))
        return 0
    from vitreous.cli.tables import print_table

    columns = ("name", "source", "data", "model", "expected")
    rows = [tuple(str(_in_short(each)[column]) for column in columns) for each in known]
    print_table(columns, rows, names=4, remarks=1)
    print(
        "\nvitreous recipes show NAME has every value with its source; vitreous train --config NAME trains."
    )
    return 0


def _show(words: Sequence[str]) -> int:
    asked = parse(SHOW, words)
    name = _known(asked.settings.name, "show")
    print(json.dumps(described(name)) if asked.as_json else flattened(name).rstrip())
    return 0


def _copy(words: Sequence[str]) -> int:
    asked = parse(COPY, words)
    name, path = _known(asked.settings.name, "copy"), Path(asked.settings.file)
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"recipes copy: {path} does not end in .yaml, by which --config knows a file")
    if path.exists() or not path.parent.is_dir():
        raise ConfigError(f"recipes copy: {path}: give a file that does not exist, in a folder that does")
    path.write_text(flattened(name), encoding="utf-8")
    print(json.dumps({"file": str(path)}) if asked.as_json else path)
    return 0


def _schema(words: Sequence[str]) -> int:
    parse(SCHEMA, words)
    from vitreous.configuration.schema import json_schema
    from vitreous.training.settings import TrainSettings

    print(json.dumps(json_schema(TrainSettings, "vitreous train"), indent=1))
    return 0


def _known(name: str, verb: str) -> str:
    names = recipe_names()
    if name not in names:
        raise ConfigError(f"recipes {verb}: there is no recipe {name}{did_you_mean(name, names)}")
    return name


def _in_short(recipe: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": recipe["name"],
        "title": recipe["title"],
        "source": recipe["source"],
        "paper": recipe["paper"],
        "data": recipe["data"],
        "model": recipe["settings"].get("model", "auto"),
        "expected": recipe["expected"].split(";")[0],
    }
