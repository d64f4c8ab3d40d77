"""A path of the supernet is exactly its model, and what a path does not use stays as it is, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.searching.spaces import tiny_hybrid, tiny_psvit, tiny_wide
from vitreous.models.vision_transformer import without_decay
from vitreous.parts import ConvStem, PatchStem
from vitreous.searching.choice import Choice
from vitreous.searching.psvit_space import psvit_space
from vitreous.searching.space import Genome, Space
from vitreous.searching.supernet import Supernet
from vitreous.training.optimizer import make_optimizer
from vitreous.training.recipe import Recipe


def some(space: Space, count: int) -> list[Genome]:
    generator = np.random.default_rng(0)
    return [space.sample(generator) for _ in range(count)]


def shape_of(space: Space) -> tuple[int, int, int]:
    image = space.config.image
    return image.channels, image.height, image.width


def supernet(space: Space, **rates: float) -> Supernet:
    torch.manual_seed(0)
    return Supernet(space, **rates)


@pytest.mark.parametrize(
    "space", [tiny_psvit(), tiny_psvit("1d"), tiny_wide(), tiny_hybrid()], ids=lambda it: it.name
)
def test_twenty_paths_equal_the_models_cut_out_of_it(space: Space) -> None:
    net = supernet(space).double().eval()
    image = torch.randn(2, *shape_of(space), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for genome in some(space, 20):
        alone = net.cut_out(genome)
        assert alone.config == space.resolve(genome)
        with torch.no_grad():
            assert (alone(image) - net(image, genome)).abs().max() < 1e-10


@pytest.mark.parametrize("space", [tiny_psvit(), tiny_wide(), tiny_hybrid()], ids=lambda it: it.name)
def test_a_path_has_the_gradients_of_its_model_and_others_have_none(space: Space) -> None:
    net = supernet(space).double()
    image = torch.randn(4, *shape_of(space), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for genome in some(space, 5):
        net.zero_grad(set_to_none=True)
        alone = net.cut_out(genome)
        alone(image).square().sum().backward()
        net(image, genome).square().sum().backward()
        used = net.used(genome)
        got = {name: each.grad for name, each in net.named_parameters() if each.grad is not None}
        assert set(got) == used
        ours = sum(float(each.square().sum()) for each in got.values())
        theirs = sum(float(each.grad.square().sum()) for each in alone.parameters() if each.grad is not None)
        assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_unused_weights_neither_move_nor_decay(optimizer: str) -> None:
    space = tiny_wide()
    net = supernet(space)
    moving = make_optimizer(net, Recipe(optimizer=optimizer, weight_decay=0.5), lr=0.01)
    image = torch.randn(4, *shape_of(space))
    for genome in some(space, 4):  # from the second step on there are moments that could move them
        before = {name: each.detach().clone() for name, each in net.named_parameters()}
        moving.zero_grad(set_to_none=True)
        net(image, genome).logsumexp(1).sum().backward()
        moving.step()
        changed = {name for name, each in net.named_parameters() if not torch.equal(each, before[name])}
        used = net.used(genome)
        assert changed <= used
        assert len(changed) > 0.9 * len(used)


def test_own_and_shared_attention_have_their_value_map_in_common_and_queries_apart() -> None:
    space = tiny_psvit(depth=4)
    net = supernet(space)
    own, shared = (1, 2, 0, 0, 0), (1, 2, 0, 0, 1)
    assert net.used(own) - net.used(shared) == {
        f"layers.3.at24x1.Mix0.attention.query_key.{each}" for each in ("weight", "bias")
    }
    assert net.used(shared) < net.used(own)


def test_twelve_layers_and_two_pools_are_thirty_blocks() -> None:
    net = Supernet(psvit_space("psvit_2d_small_image_12", classes=10))
    blocks = {name for name, _ in net.named_modules() if name.count(".") == 2 and ".at" in name}
    assert len(blocks) == 30
    assert len(net.layers) == 12 + 2


def test_weights_start_as_the_models_scheme_says_and_tables_do_not_decay() -> None:
    space = tiny_wide()
    net = supernet(space)
    alone = net.cut_out(some(space, 1)[0])
    assert 0.01 < float(alone.layers[0].state_dict()[_first_map(alone.layers[0])].std()) < 0.03
    assert {"position.AddPosition0.table.weight", "position.CarryPosition0.table.weight"} <= without_decay(
        net
    )


def _first_map(layer: nn.Module) -> str:
    return next(name for name, each in layer.named_parameters() if each.ndim == 2)


def test_dropped_branches_follow_the_recipe_and_the_depth() -> None:
    space = tiny_psvit(depth=4)
    net = supernet(space, drop_path=0.3)
    path = net.path((1, 2, 0, 0, 1))
    rates = [each.p for module in path for each in module.modules() if type(each).__name__ == "DropPath"]
    assert rates == pytest.approx([0.0, 0.0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3])


def test_ends_can_be_chosen_and_batch_statistics_are_kept() -> None:
    base = tiny_psvit(depth=4)
    stem = Choice((PatchStem(2, 8), ConvStem((8,))))
    space = Space(replace(base.config, stem=stem))
    net = supernet(space).double()
    image = torch.randn(8, *shape_of(space), dtype=torch.float64)
    genome = (1, 1, 2, 0, 0, 1)
    net(image, genome)
    means = [each for name, each in net.named_buffers() if name.endswith("running_mean")]
    assert means and all(each.abs().sum() > 0 for each in means)
    net.eval()
    assert torch.equal(net(image, genome), net.cut_out(genome)(image))


def test_a_state_dictionary_brings_everything_back() -> None:
    space = tiny_wide()
    first, second = supernet(space), Supernet(space)
    image = torch.randn(2, *shape_of(space))
    genome = some(space, 1)[0]
    second(image, genome)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(image, genome), second(image, genome))
