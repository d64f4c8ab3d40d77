import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitreous.errors import ConfigError
from vitreous.models import VisionTransformer, config, from_json, list_models, to_json
from vitreous.models.drop_path import *  # noqa: F403
from vitreous.models.init import *  # noqa: F403
from vitreous.models.init import DeiTInit, EITInit
from vitreous.parts import *  # noqa: F403 — eval of a repr needs every name
from vitreous.parts import (
    AddPosition,
    Attention,
    Block,
    ChannelSplit,
    ClassToken,
    ClassTokenHead,
    ConvPoolStem,
    DepthwiseConv,
    FeedForward,
    ImageShape,
    LayerNorm,
    LearnedTable,
    Mix,
    NoPosition,
    PatchStem,
)

sizes = st.integers(1, 1000)
norms = st.builds(LayerNorm, eps=st.floats(1e-9, 1e-3))
plain_mixers = st.builds(Attention, sizes, lends=st.booleans()) | st.builds(DepthwiseConv, sizes)
mixers = st.recursive(
    plain_mixers,
    lambda inner: st.builds(
        ChannelSplit, st.lists(st.tuples(sizes, inner), min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=4,
)
branches = st.builds(Mix, mixers, norm=norms) | st.builds(
    FeedForward, st.one_of(st.floats(0.1, 9), st.integers(1, 9)), norm=norms
)
blocks = st.builds(Block, st.lists(branches, max_size=4).map(tuple))
configs = st.builds(
    VisionTransformer,
    name=st.text(),
    source=st.sampled_from(["ours", "paper", "authors' code"]),
    image=st.builds(ImageShape, sizes, sizes, sizes),
    stem=st.builds(PatchStem, sizes, sizes) | st.builds(ConvPoolStem, sizes, sizes, sizes, sizes),
    prefix=st.just(ClassToken()),
    position=st.sampled_from([AddPosition(LearnedTable()), NoPosition()]),
    layers=st.lists(blocks | branches, max_size=5).map(lambda some: (*some, *some[-1:] * 3)),
    head=st.builds(ClassTokenHead, sizes, norm=norms, pre_logits=st.none() | sizes),
    init=st.builds(DeiTInit, std=st.floats(0.001, 1)) | st.just(EITInit()),
)


@settings(max_examples=60, deadline=None)
@given(configs)
def test_any_config_survives_json_and_its_own_repr(
    without_shape_checks: None, described: VisionTransformer
) -> None:
    back = from_json(json.loads(json.dumps(to_json(described))))
    assert back == described
    assert (back.name, back.source) == (described.name, described.source)
    assert repr(back) == repr(described)
    assert eval(repr(described)) == described


@pytest.mark.parametrize("name", list_models())
def test_every_named_model_survives_json_and_its_own_repr(name: str) -> None:
    described = config(name)
    assert from_json(json.loads(json.dumps(to_json(described)))) == described
    assert eval(repr(described)) == described


def test_name_and_source_travel_but_are_not_compared() -> None:
    one, other = config("eit_mini"), to_json(config("eit_mini"))
    other["name"] = "mine"
    assert from_json(other) == one
    assert from_json(other).name == "mine"


def changed(change) -> dict:
    data = copy.deepcopy(to_json(config("eit_mini")))
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(colour=1), "model: VisionTransformer has no 'colour'"),
        (lambda data: data["stem"].update(patches=1), "model.stem: ConvPoolStem has no 'patches'"),
        (
            lambda data: data["stem"].update(pol=3),
            "model.stem: ConvPoolStem has no 'pol'; did you mean pool?",
        ),
        (lambda data: data["stem"].pop("pool"), "model.stem: ConvPoolStem lacks pool"),
        (
            lambda data: data["stem"].update(kind="ConvPolStem"),
            "model.stem: unknown kind 'ConvPolStem'; did you mean ConvPoolStem",
        ),
        (
            lambda data: data["layers"][4]["branches"][0]["mixer"].update(heads=2.5),
            "model.layers[4].branches[0].mixer: Attention.heads is 2.5; it takes a whole number of",
        ),
        (
            lambda data: data["image"].update(height="224"),
            "model.image: ImageShape.height is '224'; it takes a whole number of at least 1",
        ),
        (lambda data: data["head"].pop("kind"), 'model.head: an object needs a "kind"'),
        (
            lambda data: data.update(stem=data["head"]),
            "model: VisionTransformer.stem is ClassTokenHead(1000); it takes a Stem",
        ),
        (
            lambda data: data.update(layers=3),
            "model: VisionTransformer.layers is 3; it takes a tuple, each of it a Part",
        ),
    ],
)
def test_anything_but_a_config_is_refused_with_its_place(
    change, message: str, without_shape_checks: None
) -> None:
    with pytest.raises(ConfigError) as refused:
        from_json(changed(change))
    assert str(refused.value).startswith(message)


def test_a_part_alone_is_not_a_model() -> None:
    with pytest.raises(ConfigError, match="this is not a VisionTransformer but ClassToken"):
        from_json({"kind": "ClassToken"})


def test_a_part_that_no_file_could_name_is_refused_when_written() -> None:
    from dataclasses import dataclass, replace

    @dataclass(frozen=True, repr=False)
    class Mine(ClassToken):
        pass

    with pytest.raises(ConfigError, match="Mine is not among"):
        to_json(replace(config("eit_mini"), prefix=Mine()))
