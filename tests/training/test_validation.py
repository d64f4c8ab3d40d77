"""Validation is exact: every image once, whatever the batches."""

import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.training.validation import validate


@pytest.mark.parametrize("classes", [2, 4, 9])
def test_loss_and_top_k_are_those_of_the_formula_over_all_images(classes: int):
    generator = torch.Generator().manual_seed(classes)
    images = torch.randint(256, (23, 1, 4, 4), generator=generator, dtype=torch.uint8)
    labels = torch.randint(classes, (23,), generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, classes), nn.Dropout(0.9))
    preprocessing = Preprocessing(channels=1, height=4, width=4, mean=(0.4,), std=(0.2,))
    order = torch.arange(23)
    batches = map(Batch, images.split(7), labels.split(7), order.split(7))
    found = validate(model, batches, preprocessing)
    with torch.no_grad():
        logits = model[1](preprocessing.normalize(images).flatten(1))
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert found["loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert found["top1"] == pytest.approx(float((ranks == 0).double().mean()))
    assert found["top5"] == pytest.approx(float((ranks < 5).double().mean()))
    f1 = f1_score(labels, logits.argmax(1), average="macro")
    assert found["f1_macro"] == pytest.approx(f1)
    assert model.training


def test_top_5_of_fewer_than_five_classes_is_certain():
    preprocessing = Preprocessing(channels=1, height=4, width=4, mean=(0.4,), std=(0.2,))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    batch = Batch(torch.zeros(5, 1, 4, 4, dtype=torch.uint8), torch.arange(5) % 3, torch.arange(5))
    found = validate(model, [batch], preprocessing)
    assert found["top5"] == 1.0
