"""Metrics agree with scikit-learn's and with what can be counted by hand."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from vitreous.evaluation.metrics import CALIBRATION_BINS, Measurement, Meter, wilson


def measured(logits: torch.Tensor, labels: torch.Tensor, batch: int = 7) -> Measurement:
    meter = Meter([f"class {i}" for i in range(logits.shape[1])])
    for start in range(0, len(labels), batch):
        meter.update(logits[start : start + batch], labels[start : start + batch])
    return meter.result()


@pytest.fixture(params=[3, 12])
def random(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(request.param)
    labels = torch.randint(request.param, (200,), generator=generator)
    logits = torch.randn(200, request.param, generator=generator)
    logits[torch.arange(200), labels] += 1.0
    return logits, labels


def test_every_figure_is_that_of_scikit_learn(random: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = random
    found = measured(logits, labels)
    said = logits.argmax(dim=1)
    classes = range(logits.shape[1])
    k = min(5, logits.shape[1])
    expected = {
        "images": 200,
        "top1": reference.accuracy_score(labels, said),
        "top5": reference.top_k_accuracy_score(labels, logits, k=k, labels=classes)
        if k < logits.shape[1]
        else 1.0,
        "top_k": k,
        "f1_macro": reference.f1_score(labels, said, average="macro"),
        "loss": reference.log_loss(labels, logits.double().softmax(dim=1), labels=classes),
    }
    for name, value in expected.items():
        assert found.values[name] == pytest.approx(value, abs=1e-6), name
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        labels, said, labels=classes, zero_division=0
    )
    for place, each in enumerate(found.per_class):
        assert each.name == f"class {place}" and each.images == support[place]
        assert (each.precision, each.recall, each.f1) == pytest.approx(
            (precision[place], recall[place], f1[place]), abs=1e-6
        )
    assert (found.confusion == reference.confusion_matrix(labels, said, labels=classes)).all()


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy(
    random: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = random
    confidence, said = (each.numpy() for each in logits.softmax(dim=1).max(dim=1))
    right = said == labels.numpy()
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [
        abs(right[bins == each].mean() - confidence[bins == each].mean()) * (bins == each).mean()
        for each in np.unique(bins)
    ]
    assert measured(logits, labels).values["ece"] == pytest.approx(sum(gaps), abs=1e-6)


def test_the_size_of_batches_changes_nothing(random: tuple[torch.Tensor, torch.Tensor]) -> None:
    one, other = measured(*random, batch=1), measured(*random, batch=200)
    assert one.values == pytest.approx(other.values, abs=1e-6)
    assert (one.confusion == other.confusion).all()


def test_a_perfect_model_is_perfect() -> None:
    labels = torch.arange(10) % 4
    found = measured(30.0 * torch.eye(4)[labels], labels).values
    assert (found["top1"], found["top5"], found["f1_macro"]) == (1.0, 1.0, 1.0)
    assert (
        found["ece"] == pytest.approx(0, abs=1e-6) and found["top1_high"] == 1.0 and found["top1_low"] < 0.8
    )


def test_two_classes_are_measured_with_top_2() -> None:
    found = measured(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])).values
    assert (found["top1"], found["top5"], found["top_k"]) == (0.5, 1.0, 2)


def test_classes_that_do_not_occur_leave_macro_f1_alone() -> None:
    logits = 9.0 * torch.eye(5)[torch.tensor([0, 1, 1, 0])]
    assert measured(logits, torch.tensor([0, 1, 1, 0])).values["f1_macro"] == 1.0


@pytest.mark.parametrize(("hits", "images"), [(0, 10), (7, 10), (10, 10), (450, 1000), (1, 1)])
def test_the_interval_is_wilsons(hits: int, images: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(hits, images).proportion_ci(method="wilson")
    assert wilson(hits, images) == pytest.approx((expected.low, expected.high), abs=1e-4)
