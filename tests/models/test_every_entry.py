"""Claims for every name of the catalog: shrunk (entries.py says how), and at full size without values.

No name is left out and no claim is skipped. What a family cannot do, such as rectangles, it refuses with a
sentence, and that sentence is the claim.
"""

import copy
import json
import pickle

import pytest
import torch
from torch import Tensor, nn

from tests.models.entries import ENTRIES, SHRUNK, shrink
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models import *  # noqa: F403 — eval of a repr needs every name
from vitreous.models import VisionTransformer, build, config, from_json, list_models, to_json
from vitreous.models.catalog import CATALOG
from vitreous.models.drop_path import *  # noqa: F403
from vitreous.models.drop_path import LinearDropPath
from vitreous.models.init import *  # noqa: F403
from vitreous.parts import *  # noqa: F403
from vitreous.parts.drop import DropPath

every_entry = pytest.mark.parametrize("name", ENTRIES)
every_name = pytest.mark.parametrize("name", list_models())


def images(config: VisionTransformer, batch: int = 2) -> Tensor:
    return torch.randn(batch, config.image.channels, config.image.height, config.image.width)


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    lost: Tensor = model(batch).float().square().sum()
    return lost


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def test_every_family_says_how_it_is_shrunk() -> None:
    assert {entry.family for entry in CATALOG.values()} == set(SHRUNK)


@every_name
def test_a_full_size_model_builds_without_values_and_its_cost_is_in_closed_form(name: str) -> None:
    described = config(name)
    with torch.device("meta"):
        model = build(described)
    counted = cost(described)
    assert counted.parameters == sum(each.numel() for each in model.parameters())
    assert 0 < counted.macs_without_attention_products <= counted.macs <= counted.macs_executed


@every_name
def test_a_full_size_model_survives_json_and_its_own_repr(name: str) -> None:
    described = config(name)
    back = from_json(json.loads(json.dumps(to_json(described))))
    assert (back, back.name, back.source) == (described, described.name, described.source)
    assert eval(repr(described)) == described


@every_entry
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_images_of_any_number_of_channels_become_one_logit_a_class(name: str, channels: int) -> None:
    described = shrink(name, channels=channels)
    assert build(described)(images(described, 3)).shape == (3, 7)


@every_entry
def test_a_rectangle_is_taken_or_refused_with_a_reason(name: str) -> None:
    shrunk = SHRUNK[CATALOG[name].family]
    if shrunk.refuses is None:
        described = shrink(name, image_size=shrunk.rectangle)
        assert build(described)(images(described)).shape == (2, 7)
    else:
        with pytest.raises(ConfigError) as refused:
            build(shrink(name, image_size=shrunk.rectangle))
        assert str(refused.value) == shrunk.refuses


@every_entry
def test_without_classes_a_model_gives_what_its_classifier_would_be_given(name: str) -> None:
    model, featuring = build(ENTRIES[name]).eval(), build(shrink(name, classes=0)).eval()
    kept = {key: value for key, value in model.state_dict().items() if ".classifier." not in key}
    featuring.load_state_dict(kept)
    batch = images(ENTRIES[name])
    features = featuring(batch)
    assert features.ndim == 2
    torch.testing.assert_close(model.head.classifier(features), model(batch))


@every_entry
def test_gradient_reaches_every_parameter(name: str) -> None:
    model, unreached = build(ENTRIES[name]).double(), SHRUNK[CATALOG[name].family].unreached
    model(images(ENTRIES[name], 3).double()).square().sum().backward()
    for which, parameter in model.named_parameters():
        assert parameter.grad is not None, which
        reached = bool(parameter.grad.abs().max() > 1e-12)  # below is rounding, where a weight cancels
        assert reached == (which not in unreached), which


@every_entry
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(build(ENTRIES[name]).state_dict())
    first, again, other = weights
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every_entry
def test_in_evaluation_nothing_is_drawn_and_an_image_stands_alone(name: str) -> None:
    torch.manual_seed(0)
    model = build(ENTRIES[name], dropout=0.5, attention_dropout=0.5, drop_path=0.5).double().eval()
    batch = images(ENTRIES[name], 3).double()
    before = torch.get_rng_state()
    logits = model(batch)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(model(batch), logits)
    torch.testing.assert_close(model(batch[1:2]), logits[1:2], rtol=1e-12, atol=1e-12)


@every_entry
def test_a_model_can_be_copied_and_pickled(name: str) -> None:
    model, batch = build(ENTRIES[name]).eval(), images(ENTRIES[name])
    fresh = build(ENTRIES[name]).eval()
    fresh.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
        assert torch.equal(other(batch), model(batch))
        assert other.config == ENTRIES[name]


@every_entry
def test_bf16_autocast_stays_near_float32_and_trains(name: str) -> None:
    torch.manual_seed(0)
    model, batch = build(ENTRIES[name]), images(ENTRIES[name], 4)
    state = torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(batch)
    rough.float().square().sum().backward()
    assert all(each.isfinite().all() for each in gradients(model).values())
    torch.set_rng_state(state)
    exact = model(batch)
    assert (rough - exact).norm() < 0.05 * exact.norm()


@every_entry
def test_features_are_a_map_where_a_grid_is_left(name: str) -> None:
    model, batch = build(ENTRIES[name]).eval(), images(ENTRIES[name])
    tokens = model.forward_features(batch)
    if tokens.grid is None:
        with pytest.raises(ConfigError, match="the features are a sequence without rows and columns"):
            model.forward_features(batch, as_map=True)
    else:
        features = model.forward_features(batch, as_map=True)
        assert features.shape == (2, tokens.x.shape[2], *tokens.grid)
        last = tokens.x[:, tokens.prefix + tokens.grid[1] * tokens.grid[0] - 1]
        assert torch.equal(features[:, :, -1, -1], last)


@every_entry
def test_gradient_checkpointing_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = build(ENTRIES[name], dropout=0.1, attention_dropout=0.1, drop_path=0.5)
    batch, start = images(ENTRIES[name], 3), torch.get_rng_state()
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    outcomes = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.load_state_dict(buffers, strict=False)
        model.zero_grad()
        torch.set_rng_state(start)
        lost = loss(model, batch)
        lost.backward()
        outcomes.append((lost, gradients(model), dict(model.named_buffers()), torch.get_rng_state()))
    torch.testing.assert_close(*outcomes, rtol=0, atol=0)


@every_entry
def test_drop_path_reaches_its_rate_in_the_last_layer_and_never_falls(name: str) -> None:
    model = build(ENTRIES[name], drop_path=0.2)
    by_layer = [{each.p for each in layer.modules() if isinstance(each, DropPath)} for layer in model.layers]
    rates = [min(rates) for rates in by_layer if rates] + [max(by_layer[-1], default=0.2)]
    assert rates == sorted(rates) and rates[0] >= 0 and rates[-1] <= 0.2
    if ENTRIES[name].drop_path == LinearDropPath():
        assert all(len(rates) < 2 for rates in by_layer)
        rates = rates[:-1]
        last = max(1, len(rates) - 1)
        assert rates == pytest.approx([0.2 * number / last for number in range(len(rates))])


@every_entry
def test_every_parameter_is_a_map_or_1_d_or_named_as_not_to_be_decayed(name: str) -> None:
    model = build(ENTRIES[name])
    parameters = dict(model.named_parameters())
    assert model.no_weight_decay() <= set(parameters)
    maps = {
        f"{where}.weight"
        for where, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    }
    for each, parameter in parameters.items():
        kept = parameter.squeeze().ndim <= 1 or each in model.no_weight_decay()
        assert each in maps or kept, each
        assert not (each in maps and each in model.no_weight_decay()), each


@every_entry
def test_export_equals_eager_at_another_batch_size(name: str, without_shape_checks: None) -> None:
    model = build(ENTRIES[name]).eval()
    given = ({0: torch.export.Dim.DYNAMIC},)
    exported = torch.export.export(model, (images(ENTRIES[name]),), dynamic_shapes=given)
    for size in (1, 2, 5):
        batch = images(ENTRIES[name], size)
        torch.testing.assert_close(exported.module()(batch), model(batch), rtol=1e-5, atol=1e-6)


@every_entry
def test_one_compilation_in_one_graph_serves_every_batch_size(name: str, without_shape_checks: None) -> None:
    torch.compiler.reset()
    compiled: list[torch.fx.GraphModule] = []

    def eager(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> nn.Module:
        compiled.append(graph)
        return graph

    torch.manual_seed(0)
    model = build(ENTRIES[name])
    run = torch.compile(model, backend=eager, fullgraph=True)
    for size in (2, 5, 3):
        batch = images(ENTRIES[name], size)
        torch._dynamo.mark_dynamic(batch, 0)
        start = torch.get_rng_state()
        expected = model(batch)
        torch.set_rng_state(start)
        torch.testing.assert_close(run(batch), expected)
    assert len(compiled) == 1


# One name for each family's own function, the first; compiling for the processor takes seconds.
FIRST = {CATALOG[name].family: name for name in reversed(ENTRIES)}.values()


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST)
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # inside torch 2.11 itself
def test_inductor_trains_as_eager_does(name: str, without_shape_checks: None) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    model, batch = build(ENTRIES[name]), images(ENTRIES[name])
    start, outcomes = torch.get_rng_state(), []
    for run in (torch.compile(model, fullgraph=True), model):
        model.zero_grad()
        torch.set_rng_state(start)
        loss(run, batch).backward()
        outcomes.append(gradients(model))
    torch.testing.assert_close(*outcomes, rtol=1e-3, atol=1e-5)
