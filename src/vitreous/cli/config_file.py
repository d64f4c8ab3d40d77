"""Settings from YAML files: flat, with every key checked, and relative paths taken from the file's place."""

from pathlib import Path
from typing import Any

import yaml

from vitreous.cli.fields import is_list
from vitreous.cli.spelling import nearest
from vitreous.errors import ConfigError

SCHEMA_VERSION = 1
# Settings that name something to read; `out` is made, not read, and stays relative to the working directory.
_READ = ("data", "model")
_NOT_A_PATH = ("digits",)


def read_config(path: str, types: dict[str, Any]) -> dict[str, Any]:
    """Values of a file under dotted names.

    Args:
        path: a YAML file, sections nested or dotted.
        types: the settings that exist.

    Raises:
        ConfigError: the file is missing, not YAML, or holds a key that is no setting.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config {path} cannot be read: {_reason(error)}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(f"--config {path} is not YAML{where}: {problem}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"--config {path}: settings as `name: value` are expected, not a {_kind(content)}")
    version = content.pop("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f"--config {path}: schema_version is {version!r}; this version reads {SCHEMA_VERSION}"
        )
    values = _flatten(content, types, path, "")
    for key in _READ:
        if key in values:
            values[key] = _from_the_file(values[key], is_list(types[key]), Path(path).parent)
    return values


def _flatten(content: dict[Any, Any], types: dict[str, Any], path: str, prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in content.items():
        key = prefix + str(name).replace("-", "_")
        is_section = any(each.startswith(f"{key}.") for each in types)
        if key in types:
            values[key] = value
        elif is_section and isinstance(value, dict):
            values |= _flatten(value, types, path, f"{key}.")
        elif is_section:
            raise ConfigError(f"--config {path}: {key} is a section and holds settings, not {value!r}")
        else:
            raise ConfigError(f"--config {path}: {key} is not a setting{nearest(key, list(types))}")
    return values


def _from_the_file(value: Any, several: bool, folder: Path) -> Any:
    """Paths relative to the file that names them; other names stay as they are."""
    if several:
        values = value if isinstance(value, list) else [value]
        return [_beside(each, folder) if isinstance(each, str) else each for each in values]
    is_file = isinstance(value, str) and value.endswith(".json")
    return _beside(value, folder) if is_file else value


def _beside(name: str, folder: Path) -> str:
    is_path = name not in _NOT_A_PATH and not name.startswith("torch/") and "://" not in name
    return str(folder / name) if is_path else name


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _kind(content: Any) -> str:
    return "list" if isinstance(content, list) else "single value"
