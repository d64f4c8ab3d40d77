"""Settings from YAML: a file of the user or a recipe of the package, flat, with every key checked.

A file may say `based_on: NAME_OR_FILE`: it then holds only what differs. What it is based on is read first,
and each value remembers which of them it came from. Relative paths start at the file that names them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vitreous.configuration.fields import is_list, nearest
from vitreous.configuration.typed import typed
from vitreous.errors import ConfigError, did_you_mean
from vitreous.recipes.shipped import recipe_names, recipe_text

SCHEMA_VERSION = 1
BASE = "based_on"
# Settings that name something to read; `out` is made, not read, and stays relative to the working directory.
_READ = (
    "data",
    "model",
    "reference",
    "loading.class_names",
    "loading.split_file",
    "pretrained",
    "distilling.teacher",
    "guidance.teacher",
)
_PATHS = ("loading.class_names", "loading.split_file", "pretrained", "distilling.teacher", "guidance.teacher")
_NOT_A_PATH = ("digits", "cnn")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The settings that one file or recipe gives.

    Args:
        source: `recipe NAME` or the file, with what is based on it where it was read for that.
        values: in their types, under dotted names.
    """

    source: str
    values: dict[str, Any]


def is_recipe(named: str) -> bool:
    """Whether a word names a recipe rather than a file: it has no folder and no ending of a YAML file."""
    return not named.endswith((".yaml", ".yml")) and Path(named).name == named and not Path(named).is_file()


def read_layers(named: str, types: dict[str, Any]) -> list[Layer]:
    """A recipe or a file, and before it what it is based on.

    Args:
        named: name of a recipe, or a YAML file with sections nested or dotted.
        types: the settings that exist.

    Raises:
        ConfigError: no such recipe, a file that is missing or not YAML, a key that is no setting, a value of
            another type, or files that are based on each other in a circle.
    """
    return _read_chain(named, types, ())


def _read_chain(named: str, types: dict[str, Any], above: tuple[str, ...]) -> list[Layer]:
    if named in above:
        raise ConfigError(f"--config {above[0]}: {' is based on '.join([*above, named])}, a circle")
    source = f"recipe {named}" if is_recipe(named) else named
    if above:
        source += f" (base of {above[-1]})"
    content = _content(named)
    base = content.pop(BASE, None)
    values = _flatten(content, types, named, "")
    if not is_recipe(named):
        for key in _READ:
            if key in values:
                several, is_path = is_list(types[key]), key in _PATHS
                values[key] = _from_the_file(values[key], several, Path(named).parent, is_path)
    values = {key: typed(value, types[key], f"--config {named}: {key}") for key, value in values.items()}
    layer = Layer(source=source, values=values)
    if base is None:
        return [layer]
    if not isinstance(base, str):
        raise ConfigError(f"--config {named}: {BASE} is {base!r}; the name of a recipe or a file is expected")
    if not is_recipe(named) and not is_recipe(base):
        base = os.path.normpath(Path(named).parent / base)
    return [*_read_chain(base, types, (*above, named)), layer]


def _content(named: str) -> dict[Any, Any]:
    """A file's top level, its version checked and taken off."""
    try:
        text = recipe_text(named) if is_recipe(named) else Path(named).read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except KeyError as error:
        names = recipe_names()
        raise ConfigError(
            f"--config {named}: there is no such recipe (vitreous recipes list) and no such file"
            + did_you_mean(named, names)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {named} cannot be read: {_reason(error)}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"--config {named} is not YAML{where}: {problem}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"--config {named}: settings as `name: value` are expected, not a {_kind(content)}")
    version = content.pop("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"--config {named}: schema_version is {version!r}; this version reads {SCHEMA_VERSION}"
        )
    return content


def _flatten(content: dict[Any, Any], types: dict[str, Any], named: str, prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in content.items():
        key = prefix + str(name).replace("-", "_")
        is_section = any(each.startswith(f"{key}.") for each in types)
        if key in types:
            values[key] = value
        elif is_section and isinstance(value, dict):
            values |= _flatten(value, types, named, f"{key}.")
        elif is_section:
            raise ConfigError(f"--config {named}: {key} is a section and holds settings, not {value!r}")
        else:
            raise ConfigError(
                f"--config {named}: {key} is not a setting{nearest(key, [*types, 'schema_version', BASE])}"
            )
    return values


def _from_the_file(value: Any, several: bool, folder: Path, is_path: bool) -> Any:
    """Paths relative to the file that names them; other names stay as they are."""
    if several:
        values = value if isinstance(value, list) else [value]
        return [_beside(each, folder) if isinstance(each, str) else each for each in values]
    is_file = isinstance(value, str) and (is_path or value.endswith(".json"))
    return _beside(value, folder) if is_file else value


def _beside(name: str, folder: Path) -> str:
    if name.startswith("wds:") and not name.startswith("wds:pipe:") and "://" not in name:
        return f"wds:{folder / name.removeprefix('wds:')}"
    if name.startswith("timm:") and "@" in name:  # timm's architecture with weights in a file
        architecture, _, file = name.partition("@")
        return f"{architecture}@{folder / file}"
    elsewhere = name in _NOT_A_PATH or name.startswith(("torch/", "hf:", "timm:", "wds:")) or "://" in name
    return name if elsewhere else str(folder / name)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _kind(content: Any) -> str:
    return "list" if isinstance(content, list) else "single value"
