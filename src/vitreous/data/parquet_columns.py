"""Which columns of a parquet file hold images, labels and class names, told from the schema alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vitreous.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Columns:
    """What is where in a file.

    Args:
        image: name of the image column.
        in_struct: its bytes sit in a struct, as field `bytes`.
        label: name of the label column.
        names: class names by label, where the file tells them.
    """

    image: str
    in_struct: bool
    label: str
    names: tuple[str, ...] | None


def find_columns(path: Path, schema: pa.Schema, label: str | None = None) -> Columns:
    """The columns of a file.

    Args:
        path: for messages.
        schema: of the file.
        label: the label column, where the user named it.

    Raises:
        DataError: no such column, or several that could be it.
    """
    features = _features(schema)
    image, in_struct = _image_column(path, schema)
    label = _label_column(path, schema, features, label)
    return Columns(image, in_struct, label, _class_names(features, label))


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Column descriptions that `datasets` stores in the schema; empty where there are none."""
    try:
        text = (schema.metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(text)["info"]["features"]
        return features if isinstance(features, dict) else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _class_names(features: dict[str, Any], label: str) -> tuple[str, ...] | None:
    feature = features.get(label)
    if isinstance(feature, list) and feature:  # a list of classes, as older versions of `datasets` spell it
        feature = feature[0]
    if isinstance(feature, dict) and "names" not in feature:
        feature = feature.get("feature")
    if not isinstance(feature, dict) or not isinstance(feature.get("names"), list):
        return None
    return tuple(str(name) for name in feature["names"])


def _image_column(path: Path, schema: pa.Schema) -> tuple[str, bool]:
    """Name of the image column, and whether the bytes sit inside a struct."""

    def is_bytes(type_: pa.DataType) -> bool:
        return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))

    found = []
    for field in schema:
        if pa.types.is_struct(field.type):
            inner = field.type.get_field_index("bytes")
            if inner >= 0 and is_bytes(field.type.field(inner).type):
                found.append((field.name, True))
        elif is_bytes(field.type):
            found.append((field.name, False))
    usual = [entry for entry in found if entry[0] in ("image", "img")]
    if len(found) != 1 and len(usual) == 1:
        found = usual
    if not found:
        raise DataError(
            f"{path}: no image column; a column of encoded image bytes works, "
            f"the columns here are {', '.join(f'{field.name} ({field.type})' for field in schema)}"
        )
    if len(found) > 1:
        raise DataError(
            f"{path}: {len(found)} columns could hold the images ({', '.join(name for name, _ in found)}); "
            "name the right one 'image'"
        )
    return found[0]


def is_list(type_: pa.DataType) -> bool:
    """Whether a column holds several values a row."""
    return bool(
        pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)
    )


def _label_column(path: Path, schema: pa.Schema, features: dict[str, Any], wanted: str | None) -> str:
    def usable(field: pa.Field) -> bool:
        type_ = field.type.value_type if is_list(field.type) else field.type
        return bool(pa.types.is_integer(type_) or pa.types.is_string(type_))

    if wanted is not None:
        if wanted not in schema.names:
            raise DataError(f"{path}: no column '{wanted}'{did_you_mean(wanted, schema.names)}")
        if not usable(schema.field(wanted)):
            raise DataError(
                f"{path}: column '{wanted}' holds {schema.field(wanted).type}; integers, texts or lists of "
                "them work"
            )
        return wanted
    usual = [name for name in ("label", "labels") if name in schema.names and usable(schema.field(name))]
    if usual:
        return str(usual[0])
    named = [field.name for field in schema if _class_names(features, field.name) and usable(field)]
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    candidates = named or integers
    if len(candidates) == 1:
        return str(candidates[0])
    if not candidates:
        raise DataError(f"{path}: no integer label column among {', '.join(schema.names)}")
    raise DataError(
        f"{path}: {len(candidates)} columns could be the label ({', '.join(candidates)}); "
        "choose one with --loading.label-column"
    )
