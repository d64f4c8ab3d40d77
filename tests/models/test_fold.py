"""Folding: the same function with less to compute."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import vitreous
from tests.models.families import FAMILIES
from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, build
from vitreous.models.deit import deit
from vitreous.models.eit import eit
from vitreous.models.fold import FoldedLaPEModule, FoldedTableModule, fold
from vitreous.models.lape import join, lape
from vitreous.models.vision_transformer import VisionTransformerModule
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ChannelSplit,
    DepthwiseConv,
    FeedForward,
    GridPool,
    GridTable,
    ImageShape,
    LayerNorm,
    LearnedSum,
    MeanHead,
    Mix,
    NoNorm,
    NoPosition,
    NoPrefix,
    Normalize,
    PartialNorm,
    Recursive,
    RelativePosition,
    Sinusoid1D,
    Sinusoid2D,
    Windows,
)
from vitreous.parts.lape import LaPEModule
from vitreous.parts.relative_position import RelativePositionModule


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


SMALL = {"image": ImageShape(3, 16, 16), "classes": 5, "width": 16, "depth": 3, "heads": 2}
HOST = deit(**SMALL, patch=4)
ATTEND, FEED = Mix(Attention(2), add=LearnedSum()), FeedForward(2)
RELATIVE = Mix(Attention(2, relative=RelativePosition()))


def layers(*parts, host: VisionTransformer = HOST) -> VisionTransformer:
    return replace(host, layers=parts)


HOSTS: dict[str, VisionTransformer] = {
    "deit": HOST,
    "deit_rectangular": deit(**{**SMALL, "image": ImageShape(1, 8, 20)}, patch=4),
    "eit": eit(**SMALL, kernel=3, stride=1, pool=4, position=True),
    "pools": layers(Block((ATTEND, FEED)), GridPool(24), ATTEND, FEED, GridPool(32), ATTEND),
    "recursion": layers(Recursive(Block((ATTEND, FEED)), 3, between=FeedForward(1)), Recursive(ATTEND, 2)),
    "recursion and pool": layers(Recursive(ATTEND, 2), GridPool(8), Recursive(Block((ATTEND, FEED)), 3)),
    "relative": layers(RELATIVE, FEED, Mix(Attention(2, relative=RelativePosition(LayerNorm(1e-5))))),
    "resized table": replace(HOST, position=AddPosition(GridTable((3, 3)))),
    "norm in the stream": layers(Normalize(), Mix(Attention(2), NoNorm()), FEED, Mix(Attention(2), NoNorm())),
    "windows": replace(
        layers(
            Mix(Windows(Attention(2, relative=RelativePosition()), 2)), Mix(Windows(Attention(2), 2, shift=1))
        ),
        prefix=NoPrefix(),
        head=MeanHead(5),
    ),
    "together": layers(
        Recursive(Mix(ChannelSplit(((8, DepthwiseConv(3)), (8, Attention(2))))), 2), GridPool(8), RELATIVE
    ),
}
FORMS: dict[str, Callable[[VisionTransformer], VisionTransformer]] = {
    "lape": lape,
    "shared": lambda host: lape(host, progressive=False),
    "1D sinusoid": lambda host: lape(host, table=Sinusoid1D()),
    "taken apart": lambda host: lape(host, norm=PartialNorm(scale="one")),
}
every_host = pytest.mark.parametrize("host", HOSTS)


def randomized(described: VisionTransformer) -> VisionTransformerModule:
    torch.manual_seed(0)
    model = build(described).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def images(described: VisionTransformer, batch: int = 3) -> Tensor:
    image = described.image
    return torch.randn(batch, image.channels, image.height, image.width, dtype=torch.double)


def kinds(model: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in model.modules()}


@every_host
@pytest.mark.parametrize("form", FORMS)
def test_a_folded_model_gives_what_the_model_gives_and_normalises_no_position(host: str, form: str) -> None:
    described = FORMS[form](HOSTS[host])
    model = randomized(described)
    folded, batch = vitreous.fold(model), images(described)
    assert model.training and LaPEModule in kinds(model)
    model.eval()
    torch.testing.assert_close(folded(batch), model(batch), rtol=0, atol=1e-10)
    assert folded.config is model.config
    assert FoldedLaPEModule in kinds(folded)
    assert not kinds(folded) & {LaPEModule, RelativePositionModule}


def test_nothing_is_computed_any_more_that_does_not_see_the_image() -> None:
    model = build(lape(replace(HOST, layers=(RELATIVE, FEED) * 3)))
    calls: list[str] = []

    class Counted(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            calls.append(function.__name__)
            return function(*args, **(kwargs or {}))

    counts = []
    for each in (build(replace(HOST, layers=(ATTEND_PLAIN, FEED) * 3)), model, fold(model)):
        each.eval()
        calls.clear()
        with Counted(), torch.no_grad():
            each(images(HOST).float())
        counts.append({name: calls.count(name) for name in ("layer_norm", "pad", "index", "linear")})
    plain, unfolded, folded = counts
    assert unfolded["layer_norm"] == plain["layer_norm"] + 3 and unfolded["pad"] == plain["pad"] + 3
    assert folded == plain


ATTEND_PLAIN = Mix(Attention(2))


@pytest.mark.parametrize("family", FAMILIES)
def test_any_model_is_folded_into_an_equal_copy(family: str) -> None:
    described = FAMILIES[family]
    model, batch = randomized(described).eval(), images(described)
    torch.testing.assert_close(fold(model)(batch), model(batch), rtol=0, atol=1e-10)


@pytest.mark.parametrize("joining", ["default", "shared", "unshared"])
def test_the_other_joinings_are_folded_into_an_equal_copy(joining) -> None:
    model, batch = randomized(join(HOST, joining, table=Sinusoid2D())).eval(), images(HOST)
    torch.testing.assert_close(fold(model)(batch), model(batch), rtol=0, atol=1e-10)


def test_every_turn_has_its_row_and_equal_rows_are_kept_once() -> None:
    recursive = layers(Recursive(Block((ATTEND, FEED)), 3))
    for progressive, rows in ((True, 3), (False, 1)):
        folded = fold(randomized(lape(recursive, progressive=progressive)))
        (lape_module,) = (each for each in folded.modules() if isinstance(each, FoldedLaPEModule))
        assert lape_module.terms.shape == (rows, 17, 16)


def test_where_a_turn_does_not_tell_the_position_lape_stays() -> None:
    described = lape(layers(Recursive(Recursive(ATTEND, 2), 2), ATTEND))
    model, batch = randomized(described).eval(), images(HOST)
    folded = fold(model)
    assert {LaPEModule, FoldedLaPEModule} < kinds(folded)
    torch.testing.assert_close(folded(batch), model(batch), rtol=0, atol=1e-10)
    shared = fold(randomized(lape(layers(Recursive(Recursive(ATTEND, 2), 2), ATTEND), progressive=False)))
    assert LaPEModule not in kinds(shared)


def test_the_model_stays_as_it_was_and_the_copy_does_not_follow_it() -> None:
    model, batch = randomized(lape(HOST)), images(HOST)
    before = copy.deepcopy(model.state_dict())
    folded = fold(model)
    given = folded(batch)
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(folded(batch), given)


def test_a_folded_model_cannot_be_trained() -> None:
    folded = fold(build(lape(HOST)))
    assert not folded.training and not any(each.training for each in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert folded.eval() is folded
    with pytest.raises(ConfigError) as refused:
        folded.train()
    assert str(refused.value) == (
        "fold: a folded model is for inference, its position is constant; train the model that it was folded "
        "from, and fold again"
    )


def test_something_else_than_a_built_model_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        fold(nn.Linear(2, 2))
    assert str(refused.value) == (
        "fold: it takes what vitreous.build returns and this is a Linear; a loaded classifier holds one as "
        "its `.model`"
    )


def test_images_of_another_size_are_still_refused() -> None:
    for described in (
        lape(HOST),
        lape(HOSTS["resized table"]),
        layers(RELATIVE, host=replace(HOST, position=NoPosition())),
    ):
        folded = fold(build(described))
        with pytest.raises(ConfigError, match="a grid of 4×4 tokens and the images give 2×8 tokens"):
            folded(torch.zeros(1, 3, 8, 32))


def test_a_resized_table_is_resized_once() -> None:
    folded = fold(build(HOSTS["resized table"]))
    assert isinstance(folded.model.position.table, FoldedTableModule)


def test_features_are_the_models_too() -> None:
    model, batch = randomized(lape(HOST)).eval(), images(HOST)
    folded = fold(model)
    torch.testing.assert_close(folded.forward_features(batch).x, model.forward_features(batch).x)
    assert folded.forward_features(batch, as_map=True).shape == (3, 16, 4, 4)


def test_a_folded_model_exports_with_a_free_batch_and_compiles_whole(without_shape_checks: None) -> None:
    folded, batch = fold(randomized(lape(HOSTS["together"]))), images(HOST)
    exported = torch.export.export(folded, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.compiler.reset()
    compiled = torch.compile(folded, backend="eager", fullgraph=True)
    for given in (batch, images(HOST, 5)):
        torch.testing.assert_close(exported.module()(given), folded(given))
        torch.testing.assert_close(compiled(given), folded(given))


def test_a_folded_model_can_be_copied_pickled_and_read_back_from_its_own_state() -> None:
    folded, batch = fold(randomized(lape(HOSTS["recursion"]))), images(HOST)
    for other in (copy.deepcopy(folded), pickle.loads(pickle.dumps(folded))):
        assert torch.equal(other(batch), folded(batch)) and other.config == folded.config
    another = fold(build(lape(HOSTS["recursion"])).double())
    assert not torch.equal(another(batch), folded(batch))
    another.load_state_dict(folded.state_dict())
    assert torch.equal(another(batch), folded(batch))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_keeps_the_type_of_the_model_and_works_under_autocast(dtype: torch.dtype) -> None:
    model = build(lape(HOST)).to(dtype).eval()
    folded, batch = fold(model), images(HOST).to(dtype)
    with torch.no_grad():
        assert torch.equal(folded(batch), model(batch)) and folded(batch).dtype == dtype
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(folded(batch), model(batch))


def test_the_gradient_of_an_image_passes_through() -> None:
    model = randomized(lape(HOST)).eval()
    gradients = []
    for each in (model, fold(model)):
        torch.manual_seed(1)
        batch = images(HOST).requires_grad_()
        each(batch).square().sum().backward()
        gradients.append(batch.grad)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)
