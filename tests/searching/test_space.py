"""Spaces: counting, drawing, canonical form, cost, JSON and legality follow from a config with choices."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.searching.spaces import tiny_hybrid, tiny_psvit, tiny_wide
from vitreous.analysis.cost import cost
from vitreous.errors import ConfigError
from vitreous.models.catalog import config
from vitreous.models.vision_transformer import build
from vitreous.parts import (
    Attention,
    Block,
    ClassToken,
    ClassTokenHead,
    FeedForward,
    MeanHead,
    Mix,
    NoPrefix,
    SharedAttention,
)
from vitreous.searching.budget import Budget
from vitreous.searching.choice import Choice
from vitreous.searching.gene_words import words_of_genes
from vitreous.searching.space import Space

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize(
    "space", [tiny_psvit(), tiny_psvit("1d"), tiny_wide(), tiny_hybrid()], ids=lambda it: it.name
)
def test_going_through_a_space_finds_as_many_models_as_it_counts_all_different(space: Space) -> None:
    genomes = [genome for genome, _, _ in space.all()]
    assert len(genomes) == space.count == len(set(genomes))
    some = genomes[:: max(1, len(genomes) // 300)]
    assert len({space.resolve(each) for each in some}) == len(some)
    assert all(space.canonical(each) == each for each in some)


@pytest.mark.parametrize(
    "space", [tiny_psvit(), tiny_psvit("1d"), tiny_wide(), tiny_hybrid()], ids=lambda it: it.name
)
def test_the_cost_of_a_genome_is_exactly_that_of_its_model(space: Space) -> None:
    for _ in range(12):
        genome = space.sample(GENERATOR)
        counted = cost(space.resolve(genome))
        assert space.cost(genome) == (counted.macs, counted.parameters)


def test_any_genome_has_a_canonical_form_that_is_the_same_model() -> None:
    space = tiny_psvit()
    for _ in range(50):
        bits = tuple(int(each) for each in GENERATOR.integers(2, size=4))
        genome = (1, 3, *bits)
        canonical = space.canonical(genome)
        assert space.resolve(genome) == space.resolve(canonical)
        assert canonical[2] == canonical[4] == 0  # the bits of layers 1 and 3 mean nothing: pools are there


def test_drawing_is_uniform_over_architectures() -> None:
    space = tiny_psvit(depth=4)  # 3 pairs of places, 2 architectures each
    drawn = Counter(space.sample(GENERATOR) for _ in range(1200))
    assert len(drawn) == space.count == 6
    assert all(140 < each < 260 for each in drawn.values())  # 200 ± 4.6 standard deviations


def test_drawing_under_a_limit_keeps_it_where_any_architecture_does() -> None:
    space = tiny_wide()
    least, most = space.range_of("macs")
    for limit in (least, least + (most - least) // 10, most):
        assert all(space.cost(space.sample(GENERATOR, Budget(macs=limit)))[0] <= limit for _ in range(20))
    assert space.cost(space.cheapest("macs"))[0] == least
    assert space.cost(space.cheapest("parameters"))[1] == space.range_of("parameters")[0]


def test_json_gives_an_equal_space_back() -> None:
    for space in (tiny_psvit(), tiny_wide()):
        again = Space.from_json(json.loads(json.dumps(space.to_json())))
        assert again == space and again.count == space.count


def test_an_unknown_key_in_a_file_is_named_with_its_place() -> None:
    data = tiny_psvit().to_json()
    data["config"]["layers"]["polls"] = []
    with pytest.raises(
        ConfigError, match=r"space\.config\.layers: Pooled has no 'polls'; did you mean pools"
    ):
        Space.from_json(data)


def test_a_config_without_choices_is_no_space() -> None:
    with pytest.raises(ConfigError, match="holds no choices"):
        Space(config("eit_digits", classes=10))


def plain(*layers: object, **slots: object) -> Space:
    base = config("deit_tiny", image_size=32, classes=10)
    return Space(replace(base, **({"layers": layers, "prefix": NoPrefix(), "head": MeanHead(10)} | slots)))


def test_an_option_that_fits_nowhere_is_refused_with_its_layer() -> None:
    own = Block((Mix(Attention(3)), FeedForward(4)))
    odd = Block((Mix(Attention(Choice((3, 5)))), FeedForward(4)))
    with pytest.raises(
        ConfigError, match=r"layer 1, picks \(1,\): Attention: a width of 192 does not divide"
    ):
        plain(own, odd)
    with pytest.raises(
        ConfigError, match=r"layer 0, picks \(1,\): SharedAttention: no layer before it lends"
    ):
        plain(Block((Mix(Choice((Attention(3), SharedAttention(3)))), FeedForward(4))))


def test_an_option_that_fits_somewhere_stands_only_there() -> None:
    own = Mix(Attention(3, lends=True))
    first = Choice((Block((own,)), Block((FeedForward(2),))))
    space = plain(first, Block((Choice((own, Mix(SharedAttention(3)))),)))
    assert space.count == 3  # no sharing behind a feed-forward, which lends nothing
    assert space.canonical((1, 1)) == (1, 0)


def test_ends_can_be_chosen_too_and_pairs_that_do_not_fit_are_left_out() -> None:
    own = Block((Mix(Attention(Choice((3, 6)))), FeedForward(4)))
    ends = {"prefix": Choice((NoPrefix(), ClassToken())), "head": Choice((MeanHead(10), ClassTokenHead(10)))}
    space = plain(own, **ends)
    assert space.count == 2 * 3  # a head for the class token needs one
    assert {type(space.resolve(genome).head).__name__ for genome, _, _ in space.all()} == {
        "MeanHead",
        "ClassTokenHead",
    }


def test_a_genome_of_another_length_or_with_pools_out_of_order_is_refused() -> None:
    space = tiny_psvit()
    with pytest.raises(ConfigError, match="has 6 numbers, not 2"):
        space.cost((1, 2))
    with pytest.raises(ConfigError, match=r"pools before layers \[3, 2\]"):
        space.cost((3, 2, 0, 0, 0, 0))
    with pytest.raises(ConfigError, match="pool 1 is 9; 1 to 4 work"):
        space.cost((9, 2, 0, 0, 0, 0))


def test_a_resolved_model_carries_and_lends_nothing_in_vain_and_builds() -> None:
    space = tiny_wide()
    for _ in range(10):
        model = space.resolve(space.sample(GENERATOR))
        built = build(model)
        names = [name for name, each in built.named_parameters()]
        takes = [name for name in names if ".mixer.norm." in name]
        carries = [name for name in names if name.startswith("position.branches.1")]
        assert not carries or takes


def test_options_that_only_their_kind_tells_apart_are_called_by_it() -> None:
    told = {gene.name: words for gene, words in words_of_genes(tiny_wide())}
    assert told["stem"] == ("PatchStem", "ConvPoolStem", "ConvGroupStem")
    assert told["layer 1 LaPE"] == ("without", "LaPE")
