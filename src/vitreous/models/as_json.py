"""A config as JSON and back: exact, strict, and readable.

Each description becomes an object with its class as `kind` and every field by name, defaults included, so
that a file means the same after a default has changed. Reading accepts nothing else: an unknown kind or key,
a missing key or a value of the wrong type is an error that says where.
"""

from collections.abc import Mapping
from typing import Any

from vitreous.errors import ConfigError, did_you_mean
from vitreous.models.drop_path import DROP_PATH_RULES
from vitreous.models.init import SCHEMES
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import DESCRIPTIONS
from vitreous.parts.description import Description, field_types

KINDS: dict[str, type[Description]] = {
    kind.__name__: kind for kind in (*DESCRIPTIONS, *SCHEMES, *DROP_PATH_RULES, VisionTransformer)
}


def to_json(config: VisionTransformer) -> dict[str, Any]:
    """The config as objects, lists, numbers and texts that `json.dump` writes.

    Raises:
        ConfigError: a part in it is not in the tuple of all descriptions, so that it could not be read back.
    """
    written: dict[str, Any] = write(config, KINDS)
    return written


def from_json(data: dict[str, Any]) -> VisionTransformer:
    """The config that `to_json` wrote, equal to the original.

    Raises:
        ConfigError: anything in it that is not exactly a config; the sentence says where.
    """
    config = read(data, "model", KINDS)
    if not isinstance(config, VisionTransformer):
        raise ConfigError(f"model: this is not a VisionTransformer but {type(config).__name__}")
    return config


def write(value: Any, kinds: Mapping[str, type[Description]]) -> Any:
    """A description of these kinds, or anything that one may hold, as plain values."""
    if isinstance(value, Description):
        kind = type(value).__name__
        if kinds.get(kind) is not type(value):
            raise ConfigError(f"{kind} is not among vitreous.parts.DESCRIPTIONS, so no JSON file can name it")
        return {"kind": kind} | {
            name: write(getattr(value, name), kinds) for name in field_types(type(value))
        }
    if isinstance(value, tuple):
        return [write(each, kinds) for each in value]
    return value


def read(data: Any, where: str, kinds: Mapping[str, type[Description]]) -> Any:
    """Inverse of `write`; `where` begins the sentences of errors."""
    if isinstance(data, list):
        return tuple(read(each, f"{where}[{number}]", kinds) for number, each in enumerate(data))
    if not isinstance(data, dict):
        return data
    if "kind" not in data:
        raise ConfigError(f'{where}: an object needs a "kind", one of {", ".join(sorted(kinds))}')
    kind = kinds.get(data["kind"]) if isinstance(data["kind"], str) else None
    if kind is None:
        raise ConfigError(f"{where}: unknown kind {data['kind']!r}{did_you_mean(str(data['kind']), kinds)}")
    names = list(field_types(kind))
    given = [key for key in data if key != "kind"]
    for key in given:
        if key not in names:
            raise ConfigError(f"{where}: {kind.__name__} has no {key!r}{did_you_mean(key, names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(f"{where}: {kind.__name__} lacks {', '.join(missing)}")
    values = {name: read(data[name], f"{where}.{name}", kinds) for name in names}
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
