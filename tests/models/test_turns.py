"""A trained model with fewer turns, and the training that makes every depth work."""

import pytest
import torch

from vitreous.errors import ConfigError
from vitreous.models import build, config
from vitreous.models.deit import deit
from vitreous.models.mixed_depth import mixed_depth
from vitreous.models.recursive import recursive
from vitreous.models.sret import sret
from vitreous.models.turns import of_turns, with_turns
from vitreous.parts import FeedForward, ImageShape, LearnedSum

HOST = deit(image=ImageShape(1, 8, 8), classes=5, width=16, depth=2, heads=2, patch=4)
SMALL = recursive(HOST, times=4, between=FeedForward(1, add=LearnedSum(), may_drop=False))


def images() -> torch.Tensor:
    return torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_all_turns_are_the_model_and_fewer_are_another_that_shares_what_is_left() -> None:
    model = build(SMALL).eval()
    assert torch.equal(with_turns(model, 4)(images()), model(images()))
    shorter = with_turns(model, 2)
    assert shorter.config == of_turns(SMALL, 2) and not shorter.training
    assert not torch.allclose(shorter(images()), model(images()))
    weights = model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in shorter.state_dict().items())


def test_one_turn_is_the_shallow_path_of_mixed_depth() -> None:
    model = build(SMALL)
    _, shallow = mixed_depth(model)(images())
    torch.testing.assert_close(with_turns(model, 1)(images()), shallow)


def test_drawn_turns_are_every_number_below_all_and_the_same_for_the_same_seed() -> None:
    model = build(SMALL)
    mixed, expected = mixed_depth(model, drawn=True), [with_turns(model, n)(images()) for n in (1, 2, 3)]
    drawn = []
    for seed in range(12):
        torch.manual_seed(seed)
        _, shallow = mixed(images())
        [which] = [number for number, each in enumerate(expected) if torch.allclose(each, shallow, atol=1e-6)]
        drawn.append(which)
        torch.manual_seed(seed)
        assert torch.equal(mixed(images())[1], shallow)
    assert set(drawn) == {0, 1, 2}


def test_slices_of_the_first_turn_stay_those_of_the_first_turn() -> None:
    sliced = sret(
        image=ImageShape(3, 32, 32), classes=5, head_width=4, heads=(2, 4), blocks=(1, 1), ratio=2,
        slices=((4, 2), (2, 1)),
    )  # fmt: skip
    model, given = build(sliced).eval(), torch.randn(2, 3, 32, 32)
    tokens = model.position(model.prefix(model.stem(given)))
    for number, layer in enumerate(model.layers):
        tokens = layer(tokens) if number == 1 else layer.once(tokens, 0)
    torch.testing.assert_close(with_turns(model, 1)(given), model.head(tokens))


@pytest.mark.parametrize("turns", [0, 5])
def test_a_number_of_turns_that_there_is_not_is_refused(turns: int) -> None:
    with pytest.raises(ConfigError, match=f"turns {turns}: the model takes 4; 1 to 4 work"):
        with_turns(build(SMALL), turns)


def test_a_model_without_turns_and_what_is_no_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="turns 1: deit_tiny applies no layer more than once"):
        of_turns(config("deit_tiny"), 1)
    with pytest.raises(ConfigError, match=r"takes what vitreous\.build returns and this is a Linear"):
        with_turns(torch.nn.Linear(2, 2), 1)
