"""The JSON schema of a config file, for editors: made from the frozen dataclasses and their docstrings.

Editors that know YAML show each setting's meaning, default and type from it, and mark a key that does not
exist. Sections are nested; dotted names, which a config file may also use, are left out.
"""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from docstring_parser import parse as parse_docstring

from vitreous.configuration.config_file import BASE, SCHEMA_VERSION

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def json_schema(settings: type, title: str) -> dict[str, Any]:
    """The schema of a config file.

    Args:
        settings: frozen dataclass of all settings.
        title: of the schema.
    """
    whole = _section(settings)
    whole["properties"] = {
        "schema_version": {"const": SCHEMA_VERSION, "description": "Of this format."},
        BASE: {"type": "string", "description": "Recipe or file that this one differs from."},
        **whole["properties"],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **whole}


def _section(settings: type) -> dict[str, Any]:
    hints = get_type_hints(settings)
    document = parse_docstring(settings.__doc__ or "")
    said = {each.arg_name: " ".join((each.description or "").split()) for each in document.params}
    properties: dict[str, Any] = {}
    for each in fields(settings):  # type: ignore[arg-type]
        hint = hints[each.name]
        if is_dataclass(hint):
            properties[each.name] = _section(hint)  # type: ignore[arg-type]
            continue
        properties[each.name] = _type(hint) | {"description": said.get(each.name, "")}
        if each.default is not MISSING:
            default = each.default
            properties[each.name]["default"] = list(default) if isinstance(default, tuple) else default
    return {
        "type": "object",
        "description": " ".join((document.short_description or "").split()),
        "additionalProperties": False,
        "properties": properties,
    }


def _type(hint: Any) -> dict[str, Any]:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return {"anyOf": [_type(each) for each in inside]}
    if origin is Literal:
        return {"enum": list(inside)}
    if origin is list:  # one value may stand for a list of one
        return {"anyOf": [_type(inside[0]), {"type": "array", "items": _type(inside[0])}]}
    if origin is tuple:
        return {"type": "array", "prefixItems": [_type(each) for each in inside], "items": False}
    return {"type": _PLAIN[hint]}
