"""Do the labels of two splits mean the same? Told from the pictures, when names cannot tell.

A picture is given the class whose training mean is nearest, which is right far more often than chance on
nearly every set. If the validation ids are shifted or shuffled, it is right no more often than chance, but
some other assignment of ids is. The best assignment (Hungarian method, Kuhn 1955) is found on every other
picture and judged on the rest, so that it gains nothing by luck. Ours.
"""

from dataclasses import dataclass

import numpy as np

CERTAIN = 5.0
LEAST = 0.03


@dataclass(frozen=True)
class Agreement:
    """How often the nearest class mean is right.

    Args:
        as_labelled: share of pictures, 0 to 1.
        reassigned: the same if ids are exchanged by the best assignment.
        meaning: for each label of the second split, the label of the first that it seems to mean.
        margin: by how much `reassigned` must be higher to be no accident.
    """

    as_labelled: float
    reassigned: float
    meaning: tuple[int, ...]
    margin: float

    @property
    def agrees(self) -> bool:
        """Whether labels mean the same, as far as this can tell."""
        return self.reassigned - self.as_labelled <= self.margin


def agreement(
    features: np.ndarray, labels: np.ndarray, other: np.ndarray, other_labels: np.ndarray, classes: int
) -> Agreement:
    """Compare the labels of two splits.

    Args:
        features: float32 (n, features) of the training pictures.
        labels: int64 (n,), 0 to classes − 1.
        other: float32 (m, features) of the other split.
        other_labels: int64 (m,), by the same class map.
        classes: how many.
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.bincount(labels, minlength=classes)
    present = np.flatnonzero(counts)
    starts = np.cumsum(counts)[present] - counts[present]
    means = np.zeros((classes, features.shape[1]), np.float32)
    by_class = features[np.argsort(labels, kind="stable")]
    means[present] = np.add.reduceat(by_class, starts, axis=0) / counts[present, None]
    # |x − m|² without |x|², which is the same for all classes
    far = (means**2).sum(1) - 2 * other @ means.T
    far[:, counts == 0] = np.inf
    said = far.argmin(1)
    halves = [np.arange(start, len(other), 2) for start in (0, 1)]
    tables = [_table(other_labels[half], said[half], classes) for half in halves]
    right = 0
    for fitted, judged in (tables, tables[::-1]):
        rows, columns = linear_sum_assignment(-fitted)
        right += int(judged[rows, columns].sum())
    together = sum(tables)
    _, meaning = linear_sum_assignment(-together)
    count = max(1, len(other))
    as_labelled, reassigned = float((said == other_labels).sum() / count), right / count
    margin = max(LEAST, CERTAIN * float(np.sqrt(max(reassigned * (1 - reassigned), 0.0) / count)))
    return Agreement(as_labelled, reassigned, tuple(int(each) for each in meaning), margin)


def _table(labels: np.ndarray, said: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)
