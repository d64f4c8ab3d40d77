"""Claims that hold for every family; see families.py."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.models.families import FAMILIES, UNREACHED
from vitreous.models import VisionTransformer, build
from vitreous.models.drop_path import LinearDropPath
from vitreous.parts.drop import DropPath

every_family = pytest.mark.parametrize("config", FAMILIES.values(), ids=FAMILIES)


def images(config: VisionTransformer, batch: int = 2) -> Tensor:
    return torch.randn(batch, config.image.channels, config.image.height, config.image.width)


@every_family
def test_images_become_one_logit_a_class(config: VisionTransformer) -> None:
    model = build(config)
    assert model(images(config)).shape == (2, config.classes)
    assert model.config is config


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_reaches_every_parameter(family: str) -> None:
    config = FAMILIES[family]
    model = build(config).double()
    model(images(config).double()).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        reached = bool(parameter.grad.abs().max() > 1e-12)  # below is rounding, where a weight cancels
        assert reached == (name not in UNREACHED.get(family, set())), name


@every_family
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(config: VisionTransformer) -> None:
    torch.manual_seed(1)
    first = build(config).state_dict()
    torch.manual_seed(1)
    again = build(config).state_dict()
    other = build(config).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@every_family
def test_an_image_is_classified_the_same_alone_and_in_a_batch(config: VisionTransformer) -> None:
    model, batch = build(config).double().eval(), images(config, 3).double()
    torch.testing.assert_close(model(batch)[1:2], model(batch[1:2]), rtol=1e-12, atol=1e-12)


@every_family
def test_drop_rates_do_nothing_in_evaluation(config: VisionTransformer) -> None:
    model = build(config, dropout=0.5, attention_dropout=0.5, drop_path=0.5).eval()
    batch = images(config)
    plain = build(config).eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(batch), plain(batch))


@every_family
def test_a_model_can_be_copied_and_pickled(config: VisionTransformer) -> None:
    model, batch = build(config).eval(), images(config)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(batch), model(batch))
        assert other.config == config


@every_family
def test_bf16_autocast_stays_near_float32(config: VisionTransformer) -> None:
    model, batch = build(config), images(config)
    torch.manual_seed(0)  # in training slices are shuffled at random
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(batch)
    rough.float().square().sum().backward()
    torch.manual_seed(0)
    torch.testing.assert_close(rough.float(), model(batch), atol=0.05, rtol=0.05)


@every_family
def test_features_come_with_their_grid(config: VisionTransformer) -> None:
    tokens, shape = build(config).forward_features(images(config)), config.shapes()[-1]
    assert (tokens.prefix, tokens.grid) == (shape.prefix, shape.grid)
    assert tokens.x.shape == (2, shape.tokens, shape.width)


@every_family
def test_export_equals_eager_at_another_batch_size(
    config: VisionTransformer, without_shape_checks: None
) -> None:
    model = build(config).eval()
    exported = torch.export.export(model, (images(config),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    for batch in (images(config), images(config, 5)):
        torch.testing.assert_close(exported.module()(batch), model(batch), rtol=1e-5, atol=1e-6)


@every_family
def test_compiling_finds_no_graph_break_and_changes_nothing(
    config: VisionTransformer, without_shape_checks: None
) -> None:
    torch.compiler.reset()
    model, batch = build(config, dropout=0.0, drop_path=0.0), images(config)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.manual_seed(0)  # in training slices are shuffled at random
    given = compiled(batch)
    torch.manual_seed(0)
    torch.testing.assert_close(given, model(batch))
    compiled(batch).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # inside torch 2.11 itself
def test_inductor_trains_a_small_eit_as_eager_does(without_shape_checks: None) -> None:
    torch.compiler.reset()
    config = replace(
        FAMILIES["eit"], layers=FAMILIES["eit"].layers[1:]
    )  # one layer that splits, one that does not
    model, batch = build(config), images(config)
    gradients = []
    for run in (model, torch.compile(model, fullgraph=True)):
        model.zero_grad()
        run(batch).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for compiled, eager in zip(*reversed(gradients), strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-3, atol=1e-5)


@every_family
def test_drop_path_is_alike_in_all_branches_of_a_layer_and_grows_linearly_unless_a_family_has_its_rule(
    config: VisionTransformer,
) -> None:
    model = build(config, drop_path=0.2)
    by_layer = [[each.p for each in layer.modules() if isinstance(each, DropPath)] for layer in model.layers]
    by_layer = [rates for rates in by_layer if rates]  # pools have no branch to drop
    assert all(len(rates) > 1 and len(set(rates)) == 1 for rates in by_layer)
    if config.drop_path == LinearDropPath():
        last = len(by_layer) - 1
        assert [rates[0] for rates in by_layer] == [0.2 * number / last for number in range(last + 1)]


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
