"""Weights for another image size: tables are resized as maps, all else stays or is refused."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.interop.resize import resize_positions
from vitreous.models import VisionTransformer, build, config
from vitreous.models.mlp_mixer import mlp_mixer
from vitreous.models.sret import sret
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    FeedForward,
    GridTable,
    ImageShape,
    LayerNorm,
    LearnedTable,
    Mix,
    NoPosition,
    RelativePosition,
    Sinusoid2D,
)

DEIT = config("deit_tiny", width=16, heads=2, depth=2, patch=4, image_size=16, classes=3)
SRET = sret(
    image=ImageShape(3, 32, 32), classes=3, head_width=8, heads=(1, 2), blocks=(1, 1), ratio=2, slices=None
)


def at(described: VisionTransformer, height: int, width: int) -> VisionTransformer:
    return replace(described, image=replace(described.image, height=height, width=width))


def weights(described: VisionTransformer) -> dict[str, Tensor]:
    return build(described).state_dict()


def loaded_logits(described: VisionTransformer, state: dict[str, Tensor]) -> Tensor:
    model = build(described).eval()
    model.load_state_dict(state)
    logits: Tensor = model(torch.randn(2, 3, described.image.height, described.image.width))
    return logits


def with_relative(relative: RelativePosition) -> VisionTransformer:
    block = Block((Mix(Attention(2, relative=relative)), FeedForward(1)))
    return replace(DEIT, position=NoPosition(), layers=(block,))


def test_at_the_same_size_weights_stay_what_they_are() -> None:
    for described in (DEIT, SRET, with_relative(RelativePosition())):
        state = weights(described)
        for name, weight in resize_positions(state, described, described).items():
            assert torch.equal(weight, state[name]), name


def test_srets_map_is_resized_bicubic_with_corners_not_aligned() -> None:
    state, larger = weights(SRET), at(SRET, 48, 64)
    resized = resize_positions(state, SRET, larger)
    name = "position.table.weight"
    expected = F.interpolate(state[name], (6, 8), mode="bicubic", align_corners=False)
    assert torch.equal(resized[name], expected)
    assert all(resized[each] is state[each] for each in state if each != name)
    assert loaded_logits(larger, resized).shape == (2, 3)


def test_deits_table_is_resized_as_a_map_and_the_class_tokens_row_stays() -> None:
    state, larger = weights(DEIT), at(DEIT, 24, 32)
    resized = resize_positions(state, DEIT, larger)
    table, before = resized["position.table.weight"], state["position.table.weight"]
    assert table.shape == (1, 1 + 6 * 8, 16)
    assert torch.equal(table[:, :1], before[:, :1])
    as_map = before[0, 1:].T.reshape(1, 16, 4, 4)
    expected = F.interpolate(as_map, (6, 8), mode="bicubic", align_corners=False)
    torch.testing.assert_close(table[0, 1:].T.reshape(1, 16, 6, 8), expected)
    assert loaded_logits(larger, resized).shape == (2, 3)


def test_a_table_that_says_the_same_everywhere_says_it_after_resizing_too() -> None:
    for described in (DEIT, SRET):
        state = weights(described)
        state["position.table.weight"].fill_(0.25)
        resized = resize_positions(state, described, at(described, 64, 96))["position.table.weight"]
        torch.testing.assert_close(resized, torch.full_like(resized, 0.25))


def test_there_and_back_a_smooth_table_is_nearly_itself() -> None:
    state, larger = weights(SRET), at(SRET, 96, 96)
    ramp = torch.linspace(-1, 1, 4)
    state["position.table.weight"].copy_((ramp[:, None] + ramp).expand(1, 8, 4, 4))
    back = resize_positions(resize_positions(state, SRET, larger), larger, SRET)
    torch.testing.assert_close(
        back["position.table.weight"], state["position.table.weight"], atol=0.06, rtol=0
    )


def test_tables_in_every_block_and_vectors_of_the_prefix_are_found() -> None:
    unshared = Block((AddPosition(LearnedTable()), Mix(Attention(2)), FeedForward(1)))
    described = replace(DEIT, position=AddPosition(GridTable()), layers=(unshared,) * 2)
    state = weights(described)
    resized = resize_positions(state, described, at(described, 20, 20))
    for number in range(2):
        assert resized[f"layers.{number}.branches.0.table.weight"].shape == (1, 26, 16)
    assert resized["position.table.weight"].shape == (1, 16, 5, 5)
    assert resized["position.table.prefix"] is state["position.table.prefix"]


def test_a_table_of_offsets_keeps_its_middle_and_grows_to_the_new_offsets() -> None:
    described = with_relative(RelativePosition())
    state, name = weights(described), "layers.0.branches.0.mixer.relative.table"
    state[name].normal_()
    table = resize_positions(state, described, at(described, 24, 16))[name]
    assert table.shape == (11 * 7, 2)
    torch.testing.assert_close(table.unflatten(0, (11, 7))[5, 3], state[name].unflatten(0, (7, 7))[3, 3])
    shrunk = resize_positions(state, described, at(described, 8, 8))[name]
    assert shrunk.shape == (9, 2)


def test_windows_keep_their_tables() -> None:
    described = config("swin_tiny", width=8, depths=(2,), heads=(2,), window=2, patch=2, image_size=16)
    state = weights(described)
    resized = resize_positions(state, described, at(described, 24, 32))
    assert all(torch.equal(resized[name], state[name]) for name in state)


@pytest.mark.parametrize("table", [Sinusoid2D(), GridTable((3, 5))])
def test_what_is_computed_or_has_a_size_of_its_own_stays(table) -> None:
    described = replace(DEIT, position=AddPosition(table))
    state = weights(described)
    larger = at(described, 24, 24)
    resized = resize_positions(state, described, larger)
    assert all(torch.equal(resized[name], state[name]) for name in state)
    assert loaded_logits(larger, resized).shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_keep_their_type_and_the_given_ones_their_values(dtype: torch.dtype) -> None:
    state = {name: each.to(dtype) for name, each in weights(SRET).items()}
    before = {name: each.clone() for name, each in state.items()}
    resized = resize_positions(state, SRET, at(SRET, 48, 48))
    assert {each.dtype for each in resized.values()} == {dtype}
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_fine_tuning_sizes_take_what_was_trained_at_224() -> None:
    with torch.device("meta"):
        state = build(config("sret_tiny_unsliced")).state_dict()
    state["position.table.weight"] = torch.zeros(1, 64, 28, 28)
    for size, side in ((384, 48), (512, 64)):
        new = config("sret_tiny_unsliced", image_size=size)
        resized = resize_positions(state, config("sret_tiny_unsliced"), new)
        assert resized["position.table.weight"].shape == (1, 64, side, side)


def test_weights_for_single_tokens_are_refused() -> None:
    mixer = mlp_mixer(image=ImageShape(3, 16, 16), classes=3, width=8, depth=1, token_hidden=4, patch=4)
    with pytest.raises(ConfigError) as refused:
        resize_positions(weights(mixer), mixer, at(mixer, 32, 32))
    assert str(refused.value) == (
        "resize_positions: layers.0.branches.0.mixer.widen.weight belongs to single tokens of 16×16 pixels "
        "and cannot be resized to 32×32 pixels; images resized to 16×16 pixels suit the model as it is"
    )
    normed = with_relative(RelativePosition(LayerNorm()))
    with pytest.raises(ConfigError, match=r"relative\.norm\.weight belongs to single tokens"):
        resize_positions(weights(normed), normed, at(normed, 32, 32))


def test_other_models_and_other_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="the two models differ in more than their images"):
        resize_positions(weights(DEIT), DEIT, replace(DEIT, head=replace(DEIT.head, classes=4)))
    state = weights(DEIT)
    del state["prefix.token"]
    with pytest.raises(
        ConfigError, match=r"prefix\.token is in the weights or in the model, but not in both"
    ):
        resize_positions(state, DEIT, at(DEIT, 24, 24))
