import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError, VerifyError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs

TABLE = (
    ("head.", "classifier."),
    ("norm.", "head.norm."),
    ("norm.inner.", "inside."),
    ("token", "prefix.token"),
)


def test_names_go_both_ways() -> None:
    theirs = {"head.weight": 1, "norm.bias": 2, "token": 3}
    ours = {"classifier.weight": 1, "head.norm.bias": 2, "prefix.token": 3}
    assert to_ours(theirs, TABLE) == ours
    assert to_theirs(ours, TABLE) == theirs


def test_the_longest_beginning_wins() -> None:
    assert to_ours({"norm.inner.weight": 1}, TABLE) == {"inside.weight": 1}


def test_a_name_that_is_left_over_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no name is known for the weight 'body\.weight'"):
        to_ours({"body.weight": 1}, TABLE)


def test_two_names_for_one_weight_must_agree_and_are_both_written_back() -> None:
    table = (("a.", "c."), ("b.", "c."))
    assert to_ours({"a.x": 1, "b.x": 1}, table) == {"c.x": 1}
    assert to_theirs({"c.x": 1}, table) == {"a.x": 1, "b.x": 1}
    with pytest.raises(ConfigError, match="two unequal weights would get the name"):
        to_ours({"a.x": 1, "b.x": 2}, table)


def test_weights_are_copied_or_the_leftovers_on_either_side_are_named() -> None:
    model = nn.Linear(2, 3)
    table = (("w", "weight"), ("b", "bias"), ("extra", "extra"))
    load_theirs(model, {"w": torch.ones(3, 2), "b": torch.zeros(3)}, table)
    assert torch.equal(model.weight, torch.ones(3, 2))
    with pytest.raises(VerifyError, match="left over in the model: bias;"):
        load_theirs(model, {"w": torch.ones(3, 2)}, table)
    with pytest.raises(VerifyError, match="left over in the weights: extra"):
        load_theirs(model, {"w": torch.ones(3, 2), "b": torch.zeros(3), "extra": torch.ones(1)}, table)
    with pytest.raises(VerifyError, match=r"weight is \(2, 2\) in the weights, \(3, 2\) in the model"):
        load_theirs(model, {"w": torch.ones(2, 2), "b": torch.zeros(3)}, table)


def test_both_sides_of_another_architecture_are_named_in_one_sentence_that_stays_short() -> None:
    theirs = {f"layer.{number}": torch.ones(1) for number in range(5)}
    with pytest.raises(VerifyError) as refused:
        load_theirs(nn.Linear(2, 3), {**theirs, "w": torch.ones(3, 2)}, (("w", "weight"), ("b", "bias")))
    assert str(refused.value) == (
        "left over in the model: bias; left over in the weights: layer.0, layer.1, layer.2 and 2 more; "
        "this is another architecture"
    )
