"""A recipe with all that it is based on, as one file of its own: what `show` prints and `copy` writes.

Every value keeps the comment behind it; one that comes from a recipe further down says from which.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from vitreous.recipes.alternatives import overruled
from vitreous.recipes.shipped import recipe_facts, recipe_text, value_comments


@dataclass(frozen=True, kw_only=True)
class Value:
    """One setting of a recipe.

    Args:
        value: as YAML gives it.
        recipe: which recipe of the chain holds it.
        source: the comment behind it.
    """

    value: Any
    recipe: str
    source: str


def chain(name: str) -> list[str]:
    """The recipe and what it is based on, one after the other.

    Raises:
        KeyError: no such recipe.
    """
    base = _content(name).get("based_on")
    return [name, *(chain(base) if base else [])]


def values(name: str) -> dict[str, Value]:
    """All settings of a recipe under dotted names, plain settings before sections.

    Raises:
        KeyError: no such recipe.
    """
    found: dict[str, Value] = {}
    for each in reversed(chain(name)):
        own: dict[str, Value] = {}
        for key, value in _content(each).items():
            if key in ("schema_version", "based_on"):
                continue
            inside = {f"{key}.{inner}": it for inner, it in value.items()} if isinstance(value, dict) else {}
            for dotted, it in (inside or {key: value}).items():
                own[dotted] = Value(value=it, recipe=each, source=value_comments(each)[dotted])
        found = overruled(found, own) | own
    return dict(sorted(found.items(), key=lambda item: "." in item[0]))  # stable: sections stay together


def flattened(name: str) -> str:
    """The recipe as one YAML file.

    Raises:
        KeyError: no such recipe.
    """
    opening = []
    for line in recipe_text(name).splitlines():
        if not line.startswith("#"):
            break
        opening.append(line)
    based = chain(name)[1:]
    if based:
        opening.append(f"# Based on: {', which is based on '.join(based)}; values of those say so")
    lines = [*opening, "schema_version: 1"]
    settings = values(name)
    sections = dict.fromkeys(key.rpartition(".")[0] for key in settings)
    for section in sections:
        if section:
            lines.append(f"{section}:")
        for key, each in settings.items():
            if key.rpartition(".")[0] == section:
                indent, origin = "  " * bool(section), "" if each.recipe == name else f"{each.recipe}: "
                text = yaml.safe_dump(each.value, default_flow_style=True, width=10_000)
                text = text.removesuffix("...\n").strip()
                lines.append(f"{indent}{key.rpartition('.')[2]}: {text}  # {origin}{each.source}")
    return "\n".join(lines) + "\n"


def described(name: str) -> dict[str, Any]:
    """All of it as plain values, for `--json`.

    Raises:
        KeyError: no such recipe.
    """
    facts, settings = recipe_facts(name), values(name)
    return {
        "name": name,
        "title": facts.title,
        "source": facts.source,
        "based_on": chain(name)[1:],
        **{label.lower(): text for label, text in facts.said.items()},
        "settings": {key: each.value for key, each in settings.items()},
        "sources": {key: {"recipe": each.recipe, "source": each.source} for key, each in settings.items()},
    }


@cache
def _content(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(recipe_text(name))
    return content
