"""Permuted ids are told by the pictures; right ones are not accused."""

import numpy as np
import pytest

from vitreous.data.label_agreement import agreement


def _sets(apart: float, classes: int = 6, seed: int = 0) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    centres = random.normal(0, apart, (classes, 8))
    labels, other = random.integers(0, classes, 900), random.integers(0, classes, 600)
    return (
        centres[labels] + random.normal(0, 1, (900, 8)), labels,
        centres[other] + random.normal(0, 1, (600, 8)), other,
    )  # fmt: skip


@pytest.mark.parametrize("apart", [0.0, 0.2, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(5))
def test_right_labels_agree_however_hard_the_classes_are(apart: float, seed: int) -> None:
    features, labels, other, other_labels = _sets(apart, seed=seed)
    assert agreement(features, labels, other, other_labels, 6).agrees


def test_shifted_ids_do_not_agree_and_the_shift_is_told() -> None:
    features, labels, other, other_labels = _sets(1.0)
    told = agreement(features, labels, other, (other_labels + 1) % 6, 6)
    assert not told.agrees and told.reassigned > told.as_labelled + 0.3
    assert told.meaning == (5, 0, 1, 2, 3, 4)


def test_ids_that_shift_after_a_missing_class_do_not_agree() -> None:
    features, labels, other, other_labels = _sets(1.0)
    kept = other_labels != 3
    shifted = other_labels[kept] - (other_labels[kept] > 3)
    assert not agreement(features, labels, other[kept], shifted, 6).agrees
