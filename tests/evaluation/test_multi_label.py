"""Metrics of images with any number of classes, against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score

from vitreous.analysis.multi_label import multi_label_metrics
from vitreous.evaluation.multi_label_meter import MultiLabelMeter

NAMES = ("cat", "dog", "ball")


def test_average_precision_and_f1_are_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(60, 3, generator=generator)
    labels = (torch.rand(60, 3, generator=generator) < 0.4).long()
    values, by_class = multi_label_metrics(logits, labels)
    truth, scores = labels.numpy(), logits.sigmoid().numpy()
    assert values["map"] == pytest.approx(average_precision_score(truth, scores, average="macro"), abs=1e-6)
    assert values["f1_macro"] == pytest.approx(f1_score(truth, scores >= 0.5, average="macro"), abs=1e-6)
    assert values["f1_micro"] == pytest.approx(f1_score(truth, scores >= 0.5, average="micro"), abs=1e-6)
    assert by_class["f1"].tolist() == pytest.approx(f1_score(truth, scores >= 0.5, average=None), abs=1e-6)
    assert values["exact"] == pytest.approx(float(np.mean((truth == (scores >= 0.5)).all(axis=1))))


def test_batches_do_not_change_what_is_measured():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(23, 3, generator=generator)
    labels = (torch.rand(23, 3, generator=generator) < 0.5).to(torch.uint8)
    results = []
    for size in (23, 5):
        meter = MultiLabelMeter(NAMES)
        for part in zip(logits.split(size), labels.split(size), strict=True):
            meter.update(*part)
        results.append(meter.result())
    assert results[0].values == results[1].values
    assert results[0].per_class == results[1].per_class


def test_a_class_that_never_occurs_does_not_count_and_has_no_average_precision():
    labels = torch.tensor([[1, 0, 0], [0, 1, 0]])
    meter = MultiLabelMeter(NAMES)
    meter.update(torch.where(labels == 1, 3.0, -3.0), labels)
    found = meter.result()
    assert found.values["map"] == found.values["f1_macro"] == found.values["exact"] == 1.0
    assert found.per_class[2].images == 0
    assert found.per_class[2].average_precision is None
