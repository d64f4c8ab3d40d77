"""What stands beside a search: DeiT and `hybrid_1m`, as wide as the budget allows."""

from collections.abc import Callable

import pytest

from vitreous.analysis.cost import cost
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.parts import ImageShape, PatchStem
from vitreous.searching.budget import Budget
from vitreous.searching.plain import WIDTHS, plain_hybrid, plain_vit


@pytest.mark.parametrize("side, patches", [(8, 4), (28, 7), (32, 8), (64, 8), (96, 12), (224, 14)])
def test_it_has_as_many_patches_as_deit_or_fewer(side: int, patches: int) -> None:
    found = plain_vit(ImageShape(1, side, side), 7, Budget(macs=10**9))
    assert found is not None and isinstance(found.stem, PatchStem) and found.head.classes == 7
    assert side // found.stem.patch == patches and len(found.layers) == 12


@pytest.mark.parametrize("plain", [plain_vit, plain_hybrid])
@pytest.mark.parametrize("macs", [2 * 10**6, 30 * 10**6, 10**8])
def test_a_wider_one_is_over_the_budget(plain: Callable[..., VisionTransformer | None], macs: int) -> None:
    budget = Budget(macs=macs)
    found = plain(ImageShape(3, 32, 32), 10, budget)
    more = plain(ImageShape(3, 32, 32), 10, Budget(macs=4 * macs))
    assert found is not None and more is not None
    assert cost(found).macs <= macs < cost(more).macs


def test_parameters_are_a_limit_too_and_too_little_is_none() -> None:
    image = ImageShape(3, 32, 32)
    found = plain_vit(image, 10, Budget(macs=10**9, params=50_000))
    assert found is not None and cost(found).parameters <= 50_000
    assert plain_vit(image, 10, Budget(macs=1000)) is None
    assert plain_vit(ImageShape(3, 211, 223), 10, Budget()) is None  # primes: no patch divides both
    assert WIDTHS[0] == 4
