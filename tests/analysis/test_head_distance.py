"""How far heads look, where the answer is known."""

import pytest
import torch

from tests.models.entries import shrink
from vitreous.analysis.head_distance import head_distances, head_spread, uniform_distance
from vitreous.analysis.recording import record
from vitreous.analysis.seen import AttentionMap
from vitreous.models import build


def seen(dense: torch.Tensor, side: int, prefix: int = 0) -> AttentionMap:
    tokens = dense.shape[-1]
    return AttentionMap(
        name="layers.0", layer=0, turn=0, weights=dense[:, None], members=torch.arange(tokens)[None],
        tokens=tokens, grid=(side, side), prefix=prefix,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("side", "step", "distance"), [(19, 12, 118.716), (8, 4, 16.546), (16, 4, 33.304), (14, 16, 116.492)]
)
@pytest.mark.parametrize("prefix", [0, 1])
def test_uniform_attention_has_the_mean_distance(side: int, step: int, distance: float, prefix: int) -> None:
    tokens = side * side + prefix
    uniform = seen(torch.full((1, 2, tokens, tokens), 1 / tokens, dtype=torch.float64), side, prefix)
    assert head_distances(uniform, (step, step)).tolist() == [pytest.approx([distance] * 2, abs=1e-3)]
    assert uniform_distance(uniform, (step, step)) == pytest.approx(distance, abs=1e-3)


def test_attention_to_itself_is_no_distance_and_to_the_neighbour_one_step() -> None:
    same = torch.eye(9)[None, None]
    assert head_distances(seen(same, 3), (4, 4)).item() == 0
    beside = torch.eye(9)[[1, 0, 1, 4, 3, 4, 7, 6, 7]][None, None]
    assert head_distances(seen(beside, 3), (4, 7)).item() == pytest.approx(7)


def test_without_renormalisation_what_the_class_token_takes_is_missing() -> None:
    weights = torch.full((1, 1, 10, 10), 0.1)
    whole = head_distances(seen(weights, 3, 1), (1, 1)).item()
    assert head_distances(seen(weights, 3, 1), (1, 1), renormalize=False).item() == pytest.approx(0.9 * whole)


@pytest.mark.parametrize("name", ["sret_tiny", "swin_tiny"])
def test_slices_and_windows_give_the_distance_of_the_whole_map(name: str) -> None:
    model = build(shrink(name)).eval()
    image = model.config.image
    with torch.no_grad(), record(model, features=None) as recorded:
        model(torch.randn(2, 3, image.height, image.width))
    for each in recorded.maps.values():
        whole = seen(each.dense(), each.grid[0])
        assert torch.allclose(head_distances(each, (2, 2)), head_distances(whole, (2, 2)), atol=1e-4)


def test_the_spread_is_that_of_the_population() -> None:
    spread = head_spread(torch.tensor([1.0, 3.0, 5.0, 7.0]))
    assert (spread.variance, spread.range) == (5.0, 6.0) and spread.deviation == pytest.approx(5**0.5)
    assert head_spread(torch.tensor([2.0])).deviation == 0
