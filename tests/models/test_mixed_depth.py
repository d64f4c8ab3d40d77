"""Mixed depth: two paths over one set of weights."""

import copy

import pytest
import torch
from torch import nn

from vitreous.errors import ConfigError
from vitreous.models import build, config
from vitreous.models.mixed_depth import mixed_depth
from vitreous.models.sret import sret
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts import ImageShape

SMALL = sret(
    image=ImageShape(3, 32, 32),
    classes=5,
    head_width=4,
    heads=(2, 4),
    blocks=(2, 1),
    ratio=2,
    slices=((4, 2), (2, 1)),
)


def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32)


def shallow_by_hand(model: VisionTransformerModule, given: torch.Tensor) -> torch.Tensor:
    tokens = model.position(model.prefix(model.stem(given)))
    for number, layer in enumerate(model.layers):
        tokens = layer(tokens) if number == 2 else layer.between[0](layer.block(tokens))
    logits: torch.Tensor = model.head(tokens)
    return logits


def test_in_evaluation_it_is_the_deep_model() -> None:
    model = build(SMALL).eval()
    mixed, given = mixed_depth(model).eval(), images()
    assert torch.equal(mixed(given), model(given))
    assert mixed.deep is model and mixed.config is model.config


def test_in_training_it_gives_the_deep_logits_and_those_of_every_block_applied_once() -> None:
    model, given = build(SMALL), images()
    apart = copy.deepcopy(model)  # BatchNorm's running statistics move with every pass
    torch.manual_seed(0)  # the deep path draws the orders of its slices
    deep, shallow = mixed_depth(model)(given)
    torch.manual_seed(0)
    torch.testing.assert_close(deep, apart(given))
    torch.testing.assert_close(shallow, shallow_by_hand(apart, given))


def test_the_stem_sees_a_batch_once() -> None:
    mixed = mixed_depth(build(SMALL))
    mixed(images())
    assert mixed.deep.stem.norms[0].num_batches_tracked == 1


def test_both_paths_share_every_parameter_by_identity() -> None:
    model = build(SMALL)
    mixed = mixed_depth(model)
    assert [id(each) for each in mixed.parameters()] == [id(each) for each in model.parameters()]
    assert list(mixed.state_dict()) == [f"deep.{name}" for name in model.state_dict()]


def test_the_gradient_is_the_sum_of_both_paths() -> None:
    model, given = build(SMALL).double(), images().double()
    mixed = mixed_depth(model)

    def gradients(*which: int) -> list[torch.Tensor]:
        mixed.zero_grad()
        torch.manual_seed(0)
        outputs = mixed(given)
        sum(outputs[each].square().sum() for each in which).backward()
        zero = torch.zeros(())
        return [zero if each.grad is None else each.grad.clone() for each in mixed.parameters()]

    for both, deep, shallow in zip(gradients(0, 1), gradients(0), gradients(1), strict=True):
        torch.testing.assert_close(both, deep + shallow, check_device=False)


@pytest.mark.parametrize(("own_head", "own_between"), [(True, False), (False, True), (True, True)])
def test_own_parts_start_as_copies_and_are_parameters_of_their_own(own_head: bool, own_between: bool) -> None:
    model, given = build(SMALL), images()
    mixed = mixed_depth(copy.deepcopy(model), own_head=own_head, own_between=own_between)

    def count(module: nn.Module) -> int:
        return sum(each.numel() for each in module.parameters())

    own = [model.head] if own_head else []
    own += [model.get_submodule(f"layers.{number}.between.0") for number in (0, 1, 3)] if own_between else []
    assert count(mixed) == count(model) + count(nn.ModuleList(own))
    _, shallow = mixed(given)
    torch.testing.assert_close(shallow, shallow_by_hand(model, given))
    _, moved = mixed(given)
    moved.square().sum().backward()
    for module in (mixed.head, mixed.between):
        assert module is None or all(each.grad is not None for each in module.parameters())
    assert (mixed.head is not None, mixed.between is not None) == (own_head, own_between)


def test_checkpoints_change_no_gradient() -> None:
    mixed, given = mixed_depth(build(SMALL), own_between=True).double(), images().double()
    gradients = []
    for enable in (False, True):
        mixed.set_grad_checkpointing(enable)
        mixed.zero_grad()
        torch.manual_seed(0)
        deep, shallow = mixed(given)
        (deep.square().sum() + shallow.square().sum()).backward()
        gradients.append([each.grad.clone() for each in mixed.parameters()])
    torch.testing.assert_close(*gradients)


def test_tables_are_named_as_not_to_be_decayed() -> None:
    assert mixed_depth(build(SMALL)).no_weight_decay() == {"deep.position.table.weight"}


def test_a_model_without_recursion_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        mixed_depth(build(config("deit_tiny", width=16, heads=2, depth=1, patch=4, image_size=8)))
    assert str(refused.value) == (
        "mixed_depth: no layer is applied more than once, so that both paths would be one; a model with "
        "Recursive layers, such as sret_tiny or recursive(config), has two"
    )
