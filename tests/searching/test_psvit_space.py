"""PSViT's own space beside the figures of its specification, section 3.7 and 2.9 (derived there; not the
paper's)."""

import numpy as np
import pytest

from vitreous.errors import ConfigError
from vitreous.models.catalog import config
from vitreous.models.psvit import genes_of
from vitreous.searching.budget import Budget
from vitreous.searching.psvit_space import psvit_space

FIGURES = [
    ("psvit_2d_tiny", 1.30e9, (1.133, 2.317), 6155, 1.20e9, 5507),
    ("psvit_2d_small", 4.60e9, (4.217, 6.845), 3988, 4.30e9, 3964),
    ("psvit_2d_base", 17.6e9, (16.24, 22.53), 5460, 16.5e9, 5431),
    ("psvit_1d_tiny", 1.30e9, (1.046, 1.525), 21136, 1.20e9, 11693),
    ("psvit_1d_small", 4.60e9, (3.959, 4.936), 25783, 4.30e9, 19249),
]


@pytest.mark.parametrize(("name", "budget", "spread", "within", "near", "count"), FIGURES)
def test_as_many_genes_are_within_the_budget_as_published_in_the_specification(
    name: str, budget: float, spread: tuple[float, float], within: int, near: float, count: int
) -> None:
    space = psvit_space(name)
    macs = [each for _, each, _ in space.all()]
    assert space.count == len(macs) == 28_160
    assert space.range_of("macs") == (min(macs), max(macs))
    assert (min(macs) / 1e9, max(macs) / 1e9) == pytest.approx(spread, rel=5e-4)
    assert sum(each <= budget for each in macs) == within
    assert sum(near <= each <= budget for each in macs) == count


@pytest.mark.parametrize(("longest", "count"), [(1, 6317), (2, 18_067), (None, 28_160)])
def test_a_limit_on_runs_of_sharing_layers_leaves_as_many_as_specified(
    longest: int | None, count: int
) -> None:
    assert psvit_space("psvit_2d_tiny", longest_share_run=longest).count == count


def test_up_to_two_pools_make_41_472() -> None:
    stages = [{"dims": (96, 192, 384)[: n + 1], "heads": (3, 6, 12)[: n + 1]} for n in range(3)]
    genes = ["N" + "P" * pools + "N" * (11 - pools) for pools in range(3)]
    counts = [
        psvit_space("psvit_2d_tiny", genes=each, **given).count
        for each, given in zip(genes, stages, strict=True)
    ]
    assert counts == [2**11, 11 * 2**10, 28_160] and sum(counts) == 41_472


@pytest.mark.parametrize("name", ["psvit_2d_small_image_12", "psvit_1d_small_image"])
def test_a_resolved_genome_is_the_familys_own_model_of_these_genes(name: str) -> None:
    space = psvit_space(name, classes=10)
    generator = np.random.default_rng(0)
    for _ in range(20):
        model = space.resolve(space.sample(generator, Budget(macs=30_000_000)))
        assert model == config(name, classes=10, genes=genes_of(model))


def test_another_family_has_no_genes() -> None:
    with pytest.raises(ConfigError, match="deit_tiny is not a PSViT"):
        psvit_space("deit_tiny")
