"""Small data sets made on the spot: class folders and parquet files of random pixels."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    """Random pixels; size is columns, rows as Pillow has it."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def fill(folder: Path, classes: Mapping[str, int], size: tuple[int, int] = (8, 8)) -> Path:
    """Folders with so many PNG files each."""
    for position, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(1000 * position + number, size).save(folder / name / f"{number:03}.png")
    return folder


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def parquet(
    path: Path,
    labels: Sequence[int],
    *,
    names: Sequence[str] | None = ("cat", "dog"),
    images: Sequence[bytes | None] | None = None,
    column: str = "image",
    struct: bool = True,
    label: str = "label",
    rows_per_group: int = 7,
) -> Path:
    """A file in the Hugging Face layout."""
    if images is None:
        images = [encoded(picture(number)) for number in range(len(labels))]
    values: list[object] = [{"bytes": image, "path": None} for image in images] if struct else list(images)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if struct else pa.binary()
    table = pa.table({column: pa.array(values, kind), label: pa.array(labels, pa.int64())})
    if names is not None:
        features = {column: {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and time."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }
