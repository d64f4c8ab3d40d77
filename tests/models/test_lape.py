"""LaPE against the released code's recorded numbers, the paper's identities, and on hosts of every kind."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.models.entries import shrink
from tests.parity.recorded import assert_reproduced, recorded
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.interop.rename import load_theirs, to_ours, to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.deit import deit
from vitreous.models.lape import ENTRIES, Joining, authors_names, join, lape
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    CarryPosition,
    FeedForward,
    GridPool,
    ImageShape,
    JoinPosition,
    LaPE,
    LayerNorm,
    LearnedTable,
    MeanHead,
    Mix,
    NoPosition,
    PartialNorm,
    Recursive,
    RelativePosition,
    Sinusoid1D,
    Sinusoid2D,
    Table,
    Transposed,
)
from vitreous.parts.lape import LaPEModule


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


JOININGS: list[Joining] = ["default", "shared", "unshared", "lape_shared", "lape"]
HOST = deit(image=ImageShape(3, 16, 16), classes=5, width=16, depth=3, heads=2, patch=4)


def randomized(model: nn.Module, scale: float = 0.3) -> nn.Module:
    """In double precision, with every weight away from its start."""
    model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=scale)
    return model


def images(described: VisionTransformer = HOST, batch: int = 2) -> Tensor:
    image = described.image
    return torch.randn(batch, image.channels, image.height, image.width, dtype=torch.double)


def on_the_host(mix: Mix) -> VisionTransformer:
    return replace(HOST, position=CarryPosition(LearnedTable()), layers=(Block((mix, FeedForward(4))),) * 3)


THEIR_TABLES: dict[str, Table] = {
    "learnable": LearnedTable(),
    "1D_sin": Sinusoid1D(),
    "2D_sin": Sinusoid2D(),
}
THEIR_JOININGS: dict[str, Joining] = {
    "basic": "default",
    "share": "shared",
    "unshare": "unshared",
    "LaPE": "lape",
}


@pytest.mark.parametrize(
    "file",
    [
        "lape_learnable_basic",
        "lape_learnable_share",
        "lape_learnable_unshare",
        "lape_learnable_lape",
        "lape_1d_sin_basic",
        "lape_1d_sin_lape",
        "lape_2d_sin_lape",
    ],
)
def test_recorded_models_of_the_released_code_are_reproduced(file: str) -> None:
    run = recorded(file)
    sizes = run.sizes
    host = deit(
        image=ImageShape(3, sizes["image_size"], sizes["image_size"]),
        **{name: sizes[name] for name in ("classes", "width", "depth", "heads", "patch")},
    )
    described = join(host, THEIR_JOININGS[sizes["join"]], table=THEIR_TABLES[sizes["position"]])
    model = build(described)
    load_theirs(model, run.weights, authors_names(described))
    assert_reproduced(model, run, authors_names(described))


@pytest.mark.parametrize(
    ("size", "parameters", "more"),
    [("tiny", 5_722_024, 4_608), ("small", 22_059_880, 9_216), ("base", 86_586_088, 18_432)],
)
def test_deit_grows_by_one_norm_a_layer_and_multiplies_no_more(size: str, parameters: int, more: int) -> None:
    plain, changed = cost(config(f"deit_{size}")), cost(config(f"deit_{size}_lape"))
    assert (changed.parameters, changed.parameters - plain.parameters) == (parameters, more)
    assert changed.macs == plain.macs
    with torch.device("meta"):
        ours = build(config(f"deit_{size}_lape")).state_dict()
        assert (len(build(config(f"deit_{size}")).state_dict()), len(ours)) == (152, 176)
    theirs = to_theirs(ours, authors_names(config(f"deit_{size}_lape")))
    assert {"pos_embed", "blocks.11.pe_norm.weight", "blocks.11.pe_norm.bias"} < set(theirs)
    assert list(to_ours(theirs, authors_names(config(f"deit_{size}_lape")))) == list(ours)


@pytest.mark.parametrize("name", ["vit_lite_7_4", "cvt_7_4", "cct_7_3x1", "t2t_vit_7"])
def test_the_papers_small_hosts_grow_by_3584_parameters(name: str) -> None:
    plain, changed = cost(config(name)), cost(config(f"{name}_lape"))
    assert (changed.parameters - plain.parameters, changed.macs - plain.macs) == (3584, 0)


def test_other_tables_and_joinings_have_the_released_codes_parameters() -> None:
    tiny = config("deit_tiny")
    with torch.device("meta"):
        unshared = build(join(tiny, "unshared")).state_dict()
    assert cost(join(tiny, "unshared")).parameters == 6_133_480
    assert {"pos_embed0", "pos_embed11"} < set(to_theirs(unshared, authors_names(join(tiny, "unshared"))))
    for table in (Sinusoid1D(), Sinusoid2D()):
        assert cost(lape(tiny, table=table)).parameters == 5_684_200
    for joining in JOININGS:
        if joining != "unshared":
            added = 4_608 if "lape" in joining else 0
            assert cost(join(tiny, joining)).parameters == 5_717_416 + added


def test_swin_gets_a_table_for_each_stage() -> None:
    tables = 3136 * 96 + 784 * 192 + 196 * 384 + 49 * 768
    more = cost(config("swin_tiny_lape")).parameters - cost(config("swin_tiny")).parameters
    assert more == tables + 8_832
    assert (
        cost(config("swin_small_lape")).parameters - cost(config("swin_small")).parameters == tables + 18_048
    )


def test_normalising_token_and_position_together_is_three_terms_with_weights_that_sum_to_one() -> None:
    """LN(z + w) = L1 · LN(z) + L2 · LN(w) + L3 · b, the paper's equations 6 and 7."""
    norm = LayerNorm().build(24).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    z, w = 3 * torch.randn(2, 7, 24, dtype=torch.double), torch.randn(1, 7, 24, dtype=torch.double)

    def spread(x: Tensor) -> Tensor:
        return (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()

    of_token, of_position = spread(z) / spread(z + w), spread(w) / spread(z + w)
    of_bias = 1 - of_token - of_position
    together = of_token * norm(z) + of_position * norm(w) + of_bias * norm.bias
    torch.testing.assert_close(norm(z + w), together, rtol=0, atol=1e-12)
    assert (of_bias <= 0).all()
    # Why position wants a norm of its own: its share is not free, it falls as the tokens grow.
    assert (spread(w) / spread(10 * z + w) < of_position).all()


def terms(model: nn.Module) -> list[Tensor]:
    """What each layer adds to the input of its mixer."""
    given: list[Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: given.append(module.term(inputs[1])))
        for module in model.modules()
        if isinstance(module, LaPEModule)
    ]
    model(images())
    for hook in hooks:
        hook.remove()
    return given


def test_the_two_forms_have_equal_weights_and_agree_in_the_first_layer_alone() -> None:
    progressive = randomized(build(lape(HOST)))
    shared = build(lape(HOST, progressive=False)).double().eval()
    shared.load_state_dict(progressive.state_dict())
    first, *later = [(a - b).abs().max() for a, b in zip(terms(progressive), terms(shared), strict=True)]
    assert first == 0
    assert len(later) == 2 and min(later) > 0.1


def test_with_one_layer_the_two_forms_are_one() -> None:
    one = replace(HOST, layers=HOST.layers[:1])
    progressive = randomized(build(lape(one)))
    shared = build(lape(one, progressive=False)).double().eval()
    shared.load_state_dict(progressive.state_dict())
    batch = images()
    assert torch.equal(progressive(batch), shared(batch))


def test_before_training_the_two_forms_differ_by_epsilon_only() -> None:
    progressive = build(lape(HOST)).double().eval()
    shared = build(lape(HOST, progressive=False)).double().eval()
    shared.load_state_dict(progressive.state_dict())
    for a, b in zip(terms(progressive), terms(shared), strict=True):
        assert (a - b).abs().max() < 0.02


def test_the_order_of_patches_matters_through_the_position_alone() -> None:
    model = randomized(build(lape(HOST)))
    batch = images()
    shuffled = batch.unflatten(2, (4, 4)).unflatten(4, (4, 4)).transpose(3, 4)  # 4×4 patches of 4×4 pixels
    shuffled = shuffled.flatten(2, 3)[:, :, torch.randperm(16)]
    shuffled = shuffled.unflatten(2, (4, 4)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    assert (model(batch) - model(shuffled)).abs().max() > 1e-3
    with torch.no_grad():
        model.position.table.weight.zero_()
    for module in model.modules():
        if isinstance(module, LaPEModule):
            nn.init.ones_(module.norm.weight)
            nn.init.zeros_(module.norm.bias)
    torch.testing.assert_close(model(batch), model(shuffled), rtol=0, atol=1e-12)


def test_the_position_is_never_in_the_stream() -> None:
    model = randomized(build(lape(HOST)))
    batch = images()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LaPEModule):
                module.mixer.project.weight.zero_()  # attention writes nothing
    before = model(batch)
    with torch.no_grad():
        model.position.table.weight.normal_()
    assert torch.equal(model(batch), before)


def test_a_shared_position_accumulates_in_the_stream() -> None:
    model = randomized(build(join(HOST, "shared")))
    for layer in model.layers:
        for branch in layer.branches[1:]:
            branch.add = First()
    batch = images()
    start = model.prefix(model.stem(batch)).x
    torch.testing.assert_close(
        model.forward_features(batch).x, start + 3 * model.position.table.weight, rtol=1e-12, atol=1e-12
    )


class First(nn.Module):
    """A residual sum without its branch."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x


def test_unshared_positions_are_independent() -> None:
    model = build(join(HOST, "unshared"))
    tables = [layer.branches[0].table.weight for layer in model.layers]
    assert len({id(table) for table in tables}) == 3 and not torch.equal(tables[0], tables[1])
    assert model.no_weight_decay() == {
        "prefix.token",
        *(f"layers.{number}.branches.0.table.weight" for number in range(3)),
    }


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("scale", ["none", "one", "channel"])
@pytest.mark.parametrize("shift", [False, True])
def test_the_norm_can_be_taken_apart_in_a_whole_model(standardize: bool, scale: str, shift: bool) -> None:
    norm = PartialNorm(standardize, scale, shift)
    described = lape(HOST, norm=norm)
    more = {"none": 0, "one": 1, "channel": 16}[scale] + 16 * shift
    assert cost(described).parameters == cost(HOST).parameters + 3 * more
    model = randomized(build(described))
    model(images()).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())
    if standardize and scale == "channel" and shift:
        whole = build(lape(HOST)).double().eval()
        whole.load_state_dict(model.state_dict())
        batch = images()
        torch.testing.assert_close(model(batch), whole(batch), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "described",
    [
        replace(
            HOST,
            position=NoPosition(),
            layers=(Block((Mix(Attention(2, relative=RelativePosition())), FeedForward(4))),) * 3,
        ),
        replace(
            HOST,
            position=NoPosition(),
            layers=(Block((Mix(Attention(2, relative=RelativePosition(LayerNorm(1e-5)))), FeedForward(4))),)
            * 3,
        ),
        on_the_host(Mix(LaPE(Attention(2, relative=RelativePosition())))),
    ],
    ids=["alone", "with a norm over the keys", "together with LaPE"],
)
def test_relative_position_in_all_three_ways_sees_the_order_of_patches_and_trains(described) -> None:
    # The class token has no offset to anything: what it reads last does not depend on the last table.
    model = randomized(build(replace(described, head=MeanHead(5))))
    batch = images()
    assert (model(batch) - model(batch.flip(3))).abs().max() > 1e-3
    model(batch).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_released_names_of_relative_position_are_known() -> None:
    relative = RelativePosition(LayerNorm(1e-5))
    described = replace(
        HOST, position=NoPosition(), layers=(Block((Mix(Attention(2, relative=relative)), FeedForward(4))),)
    )
    model = build(described)
    theirs = to_theirs(model.state_dict(), authors_names(described))
    assert {name for name in theirs if "relative" in name or "pe_norm" in name} == {
        "blocks.0.attn.relative_position_bias_table",
        "blocks.0.attn.pe_norm.weight",
        "blocks.0.attn.pe_norm.bias",
    }
    theirs["blocks.0.attn.relative_position_index"] = model.layers[0].branches[0].mixer.relative.index
    load_theirs(model, theirs, authors_names(described))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_named_host_learns_its_positions_and_its_norms(name: str) -> None:
    described = shrink(name)
    assert described.name == name
    host = shrink(name.removesuffix("_lape"))
    model = build(described)
    norms = [module for module in model.modules() if isinstance(module, LaPEModule)]
    assert norms and all(module.progressive for module in norms)
    assert cost(described).macs == cost(host).macs
    model(images(described).float()).square().sum().backward()
    for module in norms:
        assert module.norm.weight.grad is not None and module.norm.weight.grad.any()
    positions = [
        (each, p) for each, p in model.named_parameters() if ".table." in each and "relative" not in each
    ]
    assert all(parameter.grad.any() for _, parameter in positions)


def test_the_switches_of_lape_reach_a_named_host() -> None:
    described = config("deit_tiny_lape", progressive=False, table=Sinusoid1D(), depth=2)
    assert described.position == CarryPosition(Sinusoid1D())
    assert described.layers == (Block((Mix(LaPE(Attention(3), progressive=False)), FeedForward(4))),) * 2
    assert (described.name, described.source) == ("deit_tiny_lape", "authors' code")


def test_a_changed_model_does_not_go_by_its_hosts_name() -> None:
    assert (lape(config("deit_tiny")).name, lape(config("deit_tiny")).source) == ("", "")


def test_the_norm_is_of_the_hosts_kind_unless_told_otherwise() -> None:
    host = replace(HOST, layers=(Mix(Attention(2), norm=LayerNorm(1e-5)),))
    assert lape(host).layers == (Mix(LaPE(Attention(2), LayerNorm(1e-5)), norm=LayerNorm(1e-5)),)
    assert lape(host, norm=PartialNorm()).layers[0].mixer.norm == PartialNorm()


def test_position_joins_inside_recursions_and_not_inside_transposed_tokens() -> None:
    mix, other = Mix(Attention(2)), Transposed(Mix(Attention(1)))
    host = replace(
        HOST, layers=(Recursive(Block((mix, other)), 2, between=FeedForward(1)), Recursive(mix, 2))
    )
    with_lape = Mix(LaPE(Attention(2)))
    assert lape(host).layers == (
        Recursive(Block((with_lape, other)), 2, between=FeedForward(1)),
        Recursive(with_lape, 2),
    )
    assert join(host, "shared").layers == (
        Recursive(Block((JoinPosition(), mix, other)), 2, between=FeedForward(1)),
        Recursive(Block((JoinPosition(), mix)), 2),
    )


@pytest.mark.parametrize("joining", ["lape", "lape_shared", "shared"])
def test_behind_a_pool_position_begins_anew_before_the_first_that_asks_for_it(joining: Joining) -> None:
    block = Block((Mix(Attention(2)), FeedForward(2)))
    host = replace(
        HOST,
        layers=(block, GridPool(8), FeedForward(2), block, block, GridPool(4), Recursive(block, 2)),
    )
    described = join(host, joining)
    carry = CarryPosition(LearnedTable(), may_drop=False)
    assert described.layers[3].branches[0] == carry
    assert described.layers[6] == carry and isinstance(described.layers[7], Recursive)
    assert repr(described).count("CarryPosition") == 3
    model = randomized(build(described))
    model(images()).square().sum().backward()
    assert all(parameter.grad.any() for parameter in model.parameters())


def test_a_table_that_was_added_behind_a_pool_is_carried_from_there() -> None:
    pool = Block((GridPool(8), AddPosition(Sinusoid1D()), Mix(Attention(2)), FeedForward(2)))
    host = replace(HOST, layers=(pool,))
    assert lape(host).layers[0].branches[1] == CarryPosition(Sinusoid1D())
    assert join(host, "unshared").layers[0].branches[1] == NoPosition()


def test_a_host_without_a_table_gets_a_learned_one_and_default_adds_it_once() -> None:
    host = replace(HOST, position=NoPosition())
    assert lape(host).position == CarryPosition(LearnedTable())
    assert join(host, "default") == HOST
    assert join(HOST, "default") == HOST


def test_what_cannot_be_joined_is_refused_with_the_reason() -> None:
    for make, message in (
        (
            lambda: lape(lape(HOST)),
            "join: Mix shows that position is joined in the layers already; change the plain host instead",
        ),
        (
            lambda: lape(join(HOST, "shared")),
            "join: JoinPosition shows that position is joined in the layers already; change the plain host "
            "instead",
        ),
        (
            lambda: lape(config("feed_forward_tiny")),
            "join: nothing in this model mixes tokens in a Mix, and only there position can join them",
        ),
        (
            lambda: lape(replace(HOST, position=FeedForward(1))),
            "join: the position slot holds FeedForward, which has no table to join otherwise; AddPosition, "
            "CarryPosition and NoPosition can be changed",
        ),
    ):
        with pytest.raises(ConfigError) as refused:
            make()
        assert str(refused.value) == message
