"""What pools join and keep apart, where the tokens say it."""

import pytest
import torch

from tests.models.entries import shrink
from vitreous.analysis.kept_apart import grid_neighbours, kept_apart, windows_of
from vitreous.models import build
from vitreous.parts import GridPool, LinePool, MergePatches, TokenShape


def found_windows(*pool) -> tuple[torch.Tensor, torch.Tensor]:
    found = windows_of(*pool)
    assert found is not None
    return found


def test_tokens_that_are_one_in_each_window_lose_nothing() -> None:
    windows, neighbours = found_windows(GridPool(4).build(TokenShape(4, (4, 4))), 16, (4, 4))
    kinds = torch.randn(2, 4, 4)
    found = kept_apart(kinds[:, windows], windows, neighbours)
    assert found.joined == pytest.approx(1) and found.lost == pytest.approx(0, abs=1e-9) and found.apart < 1


def test_unrelated_tokens_lose_all_but_one_of_a_window() -> None:
    torch.manual_seed(0)
    windows, neighbours = found_windows(MergePatches(4).build(TokenShape(4, (8, 8))), 64, (8, 8))
    found = kept_apart(torch.randn(50, 64, 32), windows, neighbours)
    assert found.lost == pytest.approx(1 - 1 / 4, abs=0.02) and abs(found.joined - found.apart) < 0.02


def test_windows_are_where_the_stride_puts_them() -> None:
    windows, _ = found_windows(GridPool(4).build(TokenShape(4, (3, 3))), 9, (3, 3))
    assert windows.tolist() == [0, 0, 1, 0, 0, 1, 2, 2, 3]
    line, pairs = found_windows(LinePool(4).build(TokenShape(4, None, sequence=5)), 5, None)
    assert line.tolist() == [0, 0, 1, 1, 2] and pairs.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert len(grid_neighbours((3, 4))) == 3 * 3 + 2 * 4


def test_layers_that_do_not_pool_have_no_windows() -> None:
    model = build(shrink("pit_tiny"))
    pools = [windows_of(layer, 16, (4, 4)) is not None for layer in model.layers]
    assert sum(pools) == 1
