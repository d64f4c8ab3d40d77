"""Labels of two kinds behind the same questions: one class an image, or any number of classes.

    one class       int64 (n,): positions in the class map
    any number      uint8 (n, classes): 1 where the image has the class; a row of zeros has none

Stratified draws need one class an image: where an image has several, its rarest stands for it, so that a
part of the images keeps some of every class that is rare. Ours; scikit-learn stratifies by one label only.
"""

from collections.abc import Sequence

import numpy as np


def is_multi_label(labels: np.ndarray) -> bool:
    """Whether an image may have any number of classes."""
    return labels.ndim == 2


def images_by_class(labels: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes,): how many images have each class."""
    if is_multi_label(labels):
        counts: np.ndarray = labels.sum(axis=0, dtype=np.int64)
        return counts
    return np.bincount(labels, minlength=classes)


def strata(labels: np.ndarray) -> np.ndarray:
    """int64 (n,): what stands for each image: its class, or its rarest; one past the last for none."""
    if not is_multi_label(labels):
        return labels
    classes = labels.shape[1]
    by_rarity = np.argsort(images_by_class(labels, classes), kind="stable")
    first = labels[:, by_rarity].argmax(axis=1)
    rarest: np.ndarray = np.where(labels.any(axis=1), by_rarity[first], classes)
    return rarest.astype(np.int64)


def have_class(labels: np.ndarray, label: int) -> np.ndarray:
    """int64: positions of the images that have a class, rising."""
    return np.flatnonzero(labels[:, label] if is_multi_label(labels) else labels == label)


def spelled(labels: np.ndarray, names: Sequence[str], i: int) -> str:
    """The label of image i in words: `cat`, `cat|dog`, or nothing."""
    if is_multi_label(labels):
        return "|".join(names[int(at)] for at in np.flatnonzero(labels[i]))
    return names[int(labels[i])]
