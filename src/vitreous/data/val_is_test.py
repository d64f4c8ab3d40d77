"""Validation must not be the test set: the best epoch would be chosen on the images it is then praised on.

Told cheaply: as many images with the same labels, and the same pixels in a few dozen of them. A copy in
another order is found by `vitreous data check`, which looks at every image.
"""

from collections.abc import Mapping

import numpy as np

from vitreous.data.decode import upright
from vitreous.data.labels import spelled
from vitreous.data.records import Records
from vitreous.errors import DataError

LOOKED_AT = 32


def refuse_test_as_val(parts: Mapping[str, Records], what: str) -> None:
    """Raise a DataError where the splits `val` and `test` hold the same images."""
    if "val" not in parts or "test" not in parts:
        return
    val, test = parts["val"], parts["test"]
    count = len(val.labels)
    if count != len(test.labels):
        return
    rows = np.unique(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(int)).tolist()
    if all(_label(val, row) == _label(test, row) for row in rows) and all(
        _pixels(val, row) == _pixels(test, row) for row in rows
    ):
        raise DataError(
            f"{what}: val and test hold the same images, so the best epoch would be chosen on the test "
            "images; remove val, and a part of the training images is cut off for it"
        )


def _label(records: Records, row: int) -> str:
    return spelled(records.labels, records.names, row)


def _pixels(records: Records, row: int) -> tuple[tuple[int, int], bytes]:
    try:
        with records.open(row) as image:
            turned = upright(image)
    except Exception:  # the look at every image names it
        return (0, 0), records.where(row).encode()
    return turned.size, turned.tobytes()
