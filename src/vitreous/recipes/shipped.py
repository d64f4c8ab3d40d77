"""The recipe files of the package: their names, and what their opening comments say.

A recipe is a config file (`configuration/config_file.py`) that opens with comments, one `Label: text` each,
longer ones continued on indented lines, and has the source of every value behind it as a comment:

    # DeiT-tiny on ImageNet-1k
    # Paper:    Touvron et al. 2021, arXiv 2012.12877
    # Command:  vitreous train --config deit_tiny_imagenet --data IMAGENET
    # Data:     ImageNet-1k
    # Cost:     …
    # Expected: 72.2 % top-1 (published: …)
    schema_version: 1
    based_on: deit_imagenet
    model: deit_tiny  # 12 layers of width 192 (table 1)
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

LABELS = ("Paper", "Command", "Data", "Cost", "Expected")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a recipe says about itself.

    Args:
        name: of the recipe.
        title: the first line.
        said: text behind each label of `LABELS`, and behind any other.
    """

    name: str
    title: str
    said: dict[str, str]

    @property
    def source(self) -> str:
        """`paper`, or `ours` where no paper has the recipe."""
        return "ours" if self.said["Paper"].startswith("none") else "paper"


def recipe_names() -> list[str]:
    """Names of all recipes, sorted."""
    files = resources.files(__package__).iterdir()
    return sorted(each.name.removesuffix(".yaml") for each in files if each.name.endswith(".yaml"))


@cache
def recipe_text(name: str) -> str:
    """The file of a recipe.

    Raises:
        KeyError: no such recipe.
    """
    try:
        return resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise KeyError(name) from error


def recipe_facts(name: str) -> Facts:
    """The opening comments of a recipe.

    Raises:
        KeyError: no such recipe.
    """
    lines = []
    for line in recipe_text(name).splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:].removeprefix(" "))
    said: dict[str, str] = {}
    label = ""
    for line in lines[1:]:
        begin = re.match(r"([A-Z][a-z]+): +(.*)", line)
        if begin:
            label, said[begin[1]] = begin[1], begin[2]
        elif label:
            said[label] = f"{said[label]} {line.strip()}".strip()
    return Facts(name=name, title=lines[0], said=said)


@cache
def value_comments(name: str) -> dict[str, str]:
    """What stands behind each value of a recipe's file: dotted name → its source.

    Raises:
        KeyError: no such recipe.
    """
    comments: dict[str, str] = {}
    section = ""
    for line in recipe_text(name).splitlines():
        found = re.match(r"( *)([a-z_0-9]+):(.*?)(?:  # (.*))?$", line)
        if not found:
            continue
        indent, key, value, comment = found.groups()
        if not indent:
            section = f"{key}." if not value.strip() else ""
        if value.strip():
            comments[section * bool(indent) + key] = comment or ""
    return comments
