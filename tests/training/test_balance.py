"""Classes of unequal size: weights and their table."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitreous.training.balance import balance_table, class_weights
from vitreous.training.loss import classification_loss

pytestmark = pytest.mark.usefixtures("without_curves")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any))
def test_weights_are_inverse_to_the_frequencies_and_one_in_the_mean_over_images(sizes):
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    weights = class_weights(labels, len(sizes))
    torch.testing.assert_close(weights[labels].mean(), torch.tensor(1.0))
    totals = (weights * torch.tensor(sizes))[torch.tensor(sizes) > 0]
    torch.testing.assert_close(totals, totals[:1].expand_as(totals))


def test_weights_of_equally_large_classes_change_nothing():
    labels = torch.arange(12) % 4
    logits = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    weights = class_weights(labels, 4)
    assert torch.equal(weights, torch.ones(4))
    for targets in (labels, torch.nn.functional.one_hot(labels).to(torch.float32)):
        torch.testing.assert_close(
            classification_loss(logits, targets, 0.1, weights), classification_loss(logits, targets, 0.1)
        )


def test_the_weighted_loss_is_the_mean_over_images_of_weight_times_loss():
    generator = torch.Generator().manual_seed(1)
    logits, labels = torch.randn(9, 3, generator=generator), torch.arange(9) % 3
    weights = torch.tensor([2.0, 0.5, 0.5])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(
        classification_loss(logits, labels, weights=weights), (weights[labels] * each).mean()
    )


def test_the_table_begins_with_the_rarest_class():
    described = {
        "kind": "weights",
        "classes": {"cat": {"images": 1200, "weight": 0.625}, "lynx": {"images": 300, "weight": 2.5}},
    }
    assert balance_table(described).splitlines() == [
        "balance weights",
        "  class     images       weight",
        "  lynx         300          2.5",
        "  cat        1,200        0.625",
    ]


def test_a_table_of_very_many_classes_leaves_the_middle_out():
    classes = {f"class {number}": {"images": number + 1, "probability": 0.01} for number in range(100)}
    lines = balance_table({"kind": "sampler", "classes": classes}).splitlines()
    assert len(lines) == 43
    assert "  … 60 classes between" in lines


@pytest.mark.parametrize(("balance", "what"), [("weights", "weight"), ("sampler", "probability")])
def test_the_table_is_printed_and_kept(tiny_run, caplog, balance, what):
    with caplog.at_level("INFO", "vitreous"):
        result = tiny_run(epochs=1, recipe={"balance": balance})
    kept = json.loads((result.run_dir / "data.json").read_text())
    assert kept["balance"]["kind"] == balance
    assert set(kept["balance"]["classes"]["3"]) == {"images", what}
    assert f"balance {balance}" in caplog.text
