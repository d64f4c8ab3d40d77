"""Choices: values that stand where something is still to be chosen."""

import pytest

from vitreous.errors import ConfigError
from vitreous.models.as_json import to_json
from vitreous.parts import Attention, FeedForward, Mix, SharedAttention
from vitreous.searching.choice import ByStage, Choice, Pooled
from vitreous.searching.variants import genes_of, variants


def test_a_choice_stands_where_a_part_or_a_number_stands() -> None:
    assert repr(FeedForward(Choice((2, 4)))) == "FeedForward(Choice((2, 4)))"
    assert Mix(Choice((Attention(2), SharedAttention(2)))).mixer != Attention(2)
    assert repr(Attention(Choice((2, ByStage((3, 6)))))) == "Attention(Choice((2, ByStage((3, 6)))))"


def test_a_choice_with_an_option_that_could_not_stand_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Attention\.heads is Choice\(\(2, 0\)\)"):
        Attention(Choice((2, 0)))
    with pytest.raises(ConfigError, match=r"Mix\.mixer"):
        Mix(Choice((Attention(2), FeedForward(2))))


def test_a_choice_of_one_or_of_equals_is_refused() -> None:
    for options in ((), (3,), (3, 3)):
        with pytest.raises(ConfigError, match="two or more that all differ"):
            Choice(options)


def test_nothing_undecided_can_be_built() -> None:
    with pytest.raises(ConfigError, match="nothing is chosen here yet"):
        Choice((FeedForward(2), FeedForward(4))).build(None)


def test_more_pools_than_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="up to 1 do"):
        Pooled((FeedForward(2), FeedForward(2)), ((), ()))


def test_nested_choices_multiply_and_absent_ones_are_zero() -> None:
    part = Choice((FeedForward(Choice((1, 2, 3))), Mix(Attention(2))))
    genes = genes_of(part, "layer 0")
    found = variants(part, genes, 0, "layer 0")
    assert [each.picks for each in found] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert found[2].value == FeedForward(3)


def test_choices_of_one_name_are_picked_alike() -> None:
    part = Mix(Choice((Attention(Choice((1, 2), "heads")), SharedAttention(Choice((1, 2), "heads")))))
    genes = genes_of(part, "layer 0")
    assert list(genes.values()) == [2, 2]
    assert len(variants(part, genes, 0, "layer 0")) == 4
    with pytest.raises(ConfigError, match="'heads' have 2 and 3 options"):
        genes_of((Choice((1, 2), "heads"), Choice((1, 2, 3), "heads")), "layer 4")


def test_a_stage_without_a_value_is_named() -> None:
    with pytest.raises(ConfigError, match="layer 7: ByStage has values for 2 stages"):
        variants(Attention(ByStage((2, 4))), {}, 2, "layer 7")


def test_a_model_file_never_holds_a_choice() -> None:
    from tests.searching.spaces import tiny_psvit

    with pytest.raises(ConfigError, match="Pooled is not among"):
        to_json(tiny_psvit().config)
