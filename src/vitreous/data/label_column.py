"""A column of labels as an array: integers, texts, or lists of them where an image has several classes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute

from vitreous.data.parquet_columns import Columns, is_list
from vitreous.errors import DataError


def read_labels(
    path: Path, column: pa.ChunkedArray, columns: Columns
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """The labels of a column, and the names of the classes.

    Args:
        path: for messages.
        column: the values.
        columns: what the schema says.

    Returns:
        int64 (n,), or uint8 (n, classes) from lists; and names by label, None where the labels are bare
        numbers.

    Raises:
        DataError: rows without a label, or a list with a number that has no name.
    """
    if column.null_count:
        raise DataError(f"{path}: column '{columns.label}' has {column.null_count} rows without a label")
    if is_list(column.type):
        return _memberships(path, column, columns.names)
    if pa.types.is_integer(column.type):
        return column.to_numpy().astype(np.int64), columns.names
    unique, labels = np.unique(np.array(column.to_pylist()), return_inverse=True)
    return labels, tuple(str(word) for word in unique)


def _memberships(
    path: Path, column: pa.ChunkedArray, names: tuple[str, ...] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column of lists as uint8 (n, classes), and the names of the classes."""
    lists = column.combine_chunks()
    rows = pa.compute.list_parent_indices(lists).to_numpy()
    values = pa.compute.list_flatten(lists)
    if values.null_count:
        raise DataError(f"{path}: a list of labels holds an empty entry (null)")
    if names is not None and pa.types.is_integer(values.type):
        at = values.to_numpy().astype(np.int64)
        wrong = np.flatnonzero((at < 0) | (at >= len(names)))
        if len(wrong):
            raise DataError(
                f"{path} row {rows[wrong[0]]}: label {at[wrong[0]]} has no class name; the file names "
                f"{len(names)} classes, 0 to {len(names) - 1}"
            )
    else:
        found, at = np.unique(np.array(values.to_pylist()), return_inverse=True)
        names = tuple(str(each) for each in found)
    labels = np.zeros((len(lists), len(names)), dtype=np.uint8)
    labels[rows, at] = 1
    return labels, names
