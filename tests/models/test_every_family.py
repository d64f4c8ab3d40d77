"""Claims for every family: each name of the catalog, shrunk, and switches that no name has (families.py).

No family is left out and no claim is skipped: what a family cannot do, it refuses with a sentence.
"""

import copy
import json
import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.models.entries import ENTRIES
from tests.models.families import FAMILIES, UNREACHED
from vitreous.errors import ConfigError
from vitreous.models import *  # noqa: F403 — eval of a repr needs every name
from vitreous.models import VisionTransformer, build, from_json, to_json
from vitreous.models.catalog import CATALOG
from vitreous.models.drop_path import *  # noqa: F403
from vitreous.models.drop_path import LinearDropPath
from vitreous.models.init import *  # noqa: F403
from vitreous.parts import *  # noqa: F403
from vitreous.parts.drop import DropPath

every_family = pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES)


def images(config: VisionTransformer, batch: int = 2) -> Tensor:
    return torch.randn(batch, config.image.channels, config.image.height, config.image.width)


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    lost: Tensor = model(batch).float().square().sum()
    return lost


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


@every_family
def test_a_config_survives_json_and_its_own_repr(config: VisionTransformer) -> None:
    back = from_json(json.loads(json.dumps(to_json(config))))
    assert (back, back.name, back.source) == (config, config.name, config.source)
    assert eval(repr(config)) == config


@every_family
def test_images_become_one_logit_a_class(config: VisionTransformer) -> None:
    model = build(config)
    assert model(images(config)).shape == (2, config.classes)
    assert model.config is config


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    model, unreached = build(FAMILIES[name]).double(), UNREACHED.get(name, frozenset())
    model(images(FAMILIES[name], 3).double()).square().sum().backward()
    for which, parameter in model.named_parameters():
        assert parameter.grad is not None, which
        reached = bool(parameter.grad.abs().max() > 1e-12)  # below is rounding, where a weight cancels
        assert reached == (which not in unreached), which


@every_family
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config: VisionTransformer) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(build(config).state_dict())
    first, again, other = weights
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every_family
def test_in_evaluation_nothing_is_dropped_or_drawn_and_an_image_stands_alone(
    config: VisionTransformer,
) -> None:
    torch.manual_seed(0)
    model = build(config, dropout=0.5, attention_dropout=0.5, drop_path=0.5).double().eval()
    plain = build(config).double().eval()
    plain.load_state_dict(model.state_dict())
    batch = images(config, 3).double()
    before = torch.get_rng_state()
    logits = model(batch)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(model(batch), logits)
    assert torch.equal(plain(batch), logits)
    torch.testing.assert_close(model(batch[1:2]), logits[1:2], rtol=1e-12, atol=1e-12)


@every_family
def test_a_model_can_be_copied_and_pickled(config: VisionTransformer) -> None:
    model, batch = build(config).eval(), images(config)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(batch), model(batch))
        assert other.config == config


@every_family
def test_bf16_autocast_stays_near_float32_and_trains(config: VisionTransformer) -> None:
    torch.manual_seed(0)
    model, batch, start = build(config), images(config, 4), torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(batch)
    rough.float().square().sum().backward()
    assert all(each.isfinite().all() for each in gradients(model).values())
    torch.set_rng_state(start)  # in training slices are shuffled at random
    exact = model(batch)
    assert (rough - exact).norm() < 0.05 * exact.norm()


@every_family
def test_features_are_as_the_config_says_and_a_map_where_a_grid_is_left(config: VisionTransformer) -> None:
    model, batch, shape = build(config).eval(), images(config), config.shapes()[-1]
    tokens = model.forward_features(batch)
    assert (tokens.prefix, tokens.grid) == (shape.prefix, shape.grid)
    assert tokens.x.shape == (2, shape.tokens, shape.width)
    if shape.grid is None:
        with pytest.raises(ConfigError, match="the features are a sequence without rows and columns"):
            model.forward_features(batch, as_map=True)
    else:
        features = model.forward_features(batch, as_map=True)
        assert features.shape == (2, shape.width, *shape.grid)
        assert torch.equal(features[:, :, 0, -1], tokens.x[:, shape.prefix + shape.grid[1] - 1])


@every_family
def test_gradient_checkpointing_changes_nothing(config: VisionTransformer) -> None:
    torch.manual_seed(0)
    model = build(config, dropout=0.1, attention_dropout=0.1, drop_path=0.5)
    batch, start = images(config, 3), torch.get_rng_state()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    outcomes = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.load_state_dict(buffers, strict=False)  # what batch norms have seen
        model.zero_grad()
        torch.set_rng_state(start)
        lost = loss(model, batch)
        lost.backward()
        left = {key: value.clone() for key, value in model.named_buffers()}
        outcomes.append((lost, gradients(model), left, torch.get_rng_state()))
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


@every_family
def test_drop_path_is_alike_in_all_branches_of_a_layer_and_follows_the_rule_of_the_family(
    config: VisionTransformer,
) -> None:
    model = build(config, drop_path=0.2)
    by_layer = [{each.p for each in layer.modules() if isinstance(each, DropPath)} for layer in model.layers]
    assert all(len(rates) < 2 for rates in by_layer)
    rates = [rate for rates in by_layer for rate in rates]  # pools have no branch to drop
    assert rates == sorted(rates) and rates[0] == 0 and rates[-1] <= 0.2
    if config.drop_path == LinearDropPath():
        last = max(1, len(rates) - 1)
        assert rates == pytest.approx([0.2 * number / last for number in range(len(rates))])


@every_family
def test_every_parameter_is_a_map_or_1_d_or_named_as_not_to_be_decayed(config: VisionTransformer) -> None:
    model = build(config)
    parameters = dict(model.named_parameters())
    kept = {name for name, each in parameters.items() if each.squeeze().ndim <= 1} | model.no_weight_decay()
    maps = {
        f"{where}.weight"
        for where, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    }
    assert kept | maps == set(parameters)
    assert not maps & model.no_weight_decay()


@every_family
def test_images_of_another_size_are_served_or_refused_with_a_sentence(config: VisionTransformer) -> None:
    model, image = build(config).eval(), config.image
    batch = torch.randn(2, image.channels, image.height, 2 * image.width)
    try:
        assert model(batch).shape == (2, config.classes)
    except ConfigError as refused:
        assert "resize the images to the size that the model was built for" in str(refused)


@every_family
def test_export_equals_eager_at_another_batch_size(
    config: VisionTransformer, without_shape_checks: None
) -> None:
    model = build(config).eval()
    exported = torch.export.export(model, (images(config),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for size in (1, 2, 5):
        batch = images(config, size)
        torch.testing.assert_close(exported.module()(batch), model(batch), rtol=1e-5, atol=1e-6)


@every_family
def test_one_compilation_in_one_graph_serves_every_batch_size(
    config: VisionTransformer, without_shape_checks: None
) -> None:
    torch.compiler.reset()
    compiled: list[torch.fx.GraphModule] = []

    def eager(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> nn.Module:
        compiled.append(graph)
        return graph

    torch.manual_seed(0)
    model = build(config)
    run = torch.compile(model, backend=eager, fullgraph=True)
    for size in (2, 5, 3):
        batch = images(config, size)
        # Without this line torch takes the first size for the only one and compiles once more at the second.
        torch._dynamo.mark_dynamic(batch, 0)
        start = torch.get_rng_state()
        expected = model(batch)
        torch.set_rng_state(start)
        torch.testing.assert_close(run(batch), expected)
    assert len(compiled) == 1
    loss(run, images(config)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# The first name of each paper, and its first layers: compiling for the processor takes seconds a layer.
OF_EACH_PAPER = {CATALOG[name].paper.split(";")[0]: name for name in reversed(ENTRIES)}.values()


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_EACH_PAPER)
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # inside torch 2.11 itself
def test_inductor_trains_as_eager_does(name: str, without_shape_checks: None) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    config = replace(ENTRIES[name], layers=ENTRIES[name].layers[:2])
    model, batch, outcomes = build(config), images(config), []
    start = torch.get_rng_state()  # in training slices are shuffled at random
    for run in (torch.compile(model, fullgraph=True), model):
        model.zero_grad()
        torch.set_rng_state(start)
        loss(run, batch).backward()
        outcomes.append(gradients(model))
    torch.testing.assert_close(*outcomes, rtol=1e-3, atol=1e-5)


def test_wrong_sizes_are_refused_with_the_slot_in_front() -> None:
    from vitreous.errors import ConfigError
    from vitreous.models import config

    for make, message in [
        (
            lambda: build(config("eit_mini", heads=12)),
            "layer 4, Attention: a width of 250 does not divide into 12 heads; 2, 5, 10 heads do",
        ),
        (
            lambda: build(config("deit_tiny", image_size=(30, 33))),
            "stem, PatchStem: an image of 30×33 pixels does not divide into patches of 16×16; "
            "16×32 or 32×48 does",
        ),
        (
            lambda: build(config("eit_mini"), drop_path=1.0),
            "drop_path is 1.0; it is the share that is dropped, from 0 to below 1",
        ),
    ]:
        with pytest.raises(ConfigError) as refused:
            make()
        assert str(refused.value) == message


def test_no_branch_in_the_backbone_looks_at_the_model() -> None:
    import ast
    import inspect

    from vitreous.models import vision_transformer

    tree = ast.parse(inspect.getsource(vision_transformer))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    asked = {ast.unparse(node.test) for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp)}
    # What the caller asks for, and whether a layer has checkpoints of its own; never a paper or a part.
    given = {"as_map", "enable"}
    assert asked <= given | {"hasattr(module, 'checkpointing')", "hasattr(layer, 'checkpointing')"}
