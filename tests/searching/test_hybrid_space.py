"""The space of hybrids: what it holds, and what larger images change."""

import numpy as np
import pytest

from vitreous.analysis.cost import cost
from vitreous.models.hybrid import MOST_A_SIDE
from vitreous.parts import ConvGroupStem, ImageShape
from vitreous.searching.hybrid_space import hybrid_space


@pytest.mark.parametrize("side", [24, 32, 64])
def test_every_width_can_stand_behind_every_stem(side: int) -> None:
    space = hybrid_space(image=ImageShape(3, side, side), classes=10)
    behind = 4 * (3 * 4) + 4 * (2 * 4)  # only behind attention can the second layer share its map
    assert space.count == 3 * 9 * 2 * 2 * behind
    genome = space.sample(np.random.default_rng(0))
    counted = cost(space.resolve(genome))
    assert space.cost(genome) == (counted.macs, counted.parameters)


def test_larger_images_get_a_narrower_group_in_front_and_not_four_times_the_cost() -> None:
    small, large = (hybrid_space(image=ImageShape(3, side, side), classes=10) for side in (32, 64))
    assert large.range_of("macs")[0] < 2 * small.range_of("macs")[0]
    for space, groups in ((small, 3), (large, 4)):
        model = space.resolve(space.dearest("macs"))
        assert isinstance(model.stem, ConvGroupStem) and len(model.stem.widths) == groups
        grid = model.stem.out_shape(model.image).grid
        assert grid is not None and max(grid) <= MOST_A_SIDE
