import pytest

from vitreous.errors import ConfigError
from vitreous.parts import *  # noqa: F403 — eval of a repr needs every name
from vitreous.parts import (
    DESCRIPTIONS,
    Attention,
    Block,
    ChannelSplit,
    ClassTokenHead,
    DepthwiseConv,
    FeedForward,
    ImageShape,
    LayerNorm,
    Mix,
    PatchStem,
)
from vitreous.parts.description import Description, Undecided

EXAMPLES = [
    Attention(3),
    Attention(3, lends=True),
    PatchStem(4, 32),
    ImageShape(3, 32, 48),
    Mix(Attention(2), norm=LayerNorm(1e-5)),
    FeedForward(3.6),
    ClassTokenHead(10, pre_logits=24),
    ChannelSplit(((8, DepthwiseConv(3)), (8, Attention(2)))),
    Block((FeedForward(2),)),
    Block((Mix(Attention(1)), FeedForward(4), FeedForward(4), FeedForward(2))),
    Block((Mix(ChannelSplit(tuple((each + 1, Attention(each + 1)) for each in range(6)))), FeedForward(4))),
]


@pytest.mark.parametrize("description", EXAMPLES, ids=str)
def test_a_repr_is_the_constructor_call(description: Description) -> None:
    assert eval(repr(description)) == description


def test_a_repr_leaves_defaults_out_and_a_single_required_field_bare() -> None:
    assert repr(Mix(Attention(3))) == "Mix(Attention(3))"
    assert repr(Mix(Attention(3, True), norm=LayerNorm(1e-5))) == (
        "Mix(Attention(3, lends=True), norm=LayerNorm(eps=1e-05))"
    )
    assert repr(PatchStem(4, 32)) == "PatchStem(patch=4, width=32)"


def test_a_repr_folds_equal_neighbours() -> None:
    block = Block((FeedForward(4),) * 3)
    assert repr(block) == "Block((FeedForward(4),) * 3)"
    assert eval(repr(block)) == block


def test_a_repr_fits_a_line_of_a_hundred_characters() -> None:
    for description in EXAMPLES:
        assert max(map(len, repr(description).splitlines())) <= 110


def test_equal_descriptions_have_equal_hashes() -> None:
    assert len({Attention(3), Attention(3), Attention(4)}) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Attention("3"), "Attention.heads is '3'; it takes a whole number of at least 1"),
        (lambda: Attention(0), "Attention.heads is 0; it takes a whole number of at least 1"),
        (lambda: Attention(True), "Attention.heads is True; it takes a whole number of at least 1"),
        (lambda: FeedForward("4"), "FeedForward.ratio is '4'; it takes a number"),
        (lambda: Mix(FeedForward(4)), "Mix.mixer is FeedForward(4); it takes a Mixer"),
        (
            lambda: Block([FeedForward(4)]),
            "Block.branches is [FeedForward(4)]; it takes a tuple, each of it a Part",
        ),
        (lambda: Attention(2, lends=1), "Attention.lends is 1; it takes True or False"),
        (
            lambda: ChannelSplit(((8, FeedForward(2)),)),
            "ChannelSplit.slices is ((8, FeedForward(2)),); it takes a tuple, each of it a tuple of a whole "
            "number of at least 1 and a Mixer",
        ),
        (
            lambda: ClassTokenHead(10, pre_logits=1.5),
            "ClassTokenHead.pre_logits is 1.5; it takes a whole number of at least 1 or None",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_one_sentence(
    make, message: str, without_shape_checks: None
) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert str(refused.value) == message


def test_every_description_is_in_the_tuple() -> None:
    def leaves(kind: type) -> set[type]:
        below: list[type] = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    ours = {kind for kind in leaves(Description) if kind.__module__.startswith("vitreous.parts.")}
    ours.discard(Undecided)  # a leaf only where nobody has imported what is searched
    assert ours == set(DESCRIPTIONS)
