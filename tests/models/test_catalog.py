import pytest

from vitreous.errors import ConfigError
from vitreous.models import build, config, list_models
from vitreous.models.catalog import CATALOG
from vitreous.parts import PatchStem


def test_names_match_a_pattern_in_order() -> None:
    assert list_models("eit_????") == ["eit_base", "eit_mini", "eit_tiny"]
    assert list_models("*EIT_mini") == ["eit_mini"]
    assert list_models("nothing") == []
    assert list_models() == sorted(CATALOG)


@pytest.mark.parametrize("name", list_models())
def test_every_name_knows_its_source_and_builds(name: str) -> None:
    import torch

    described = config(name, classes=5)
    assert described.name == name
    assert described.source in ("authors' code", "paper", "ours")
    assert f"source={described.source!r}" in repr(described)
    with torch.device("meta"):
        build(described)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("EIT16/4/3-Mini", "eit_mini"), ("eit16/4/3-large", "eit_large"), ("DeiT-Ti", "deit_tiny")],
)
def test_papers_own_names_resolve(alias: str, name: str) -> None:
    assert config(alias) == config(name)
    assert config(alias).name == name


def test_image_size_classes_and_channels_are_arguments() -> None:
    described = config("eit_mini", image_size=(96, 64), classes=3, channels=1)
    assert (described.image.channels, described.image.height, described.image.width) == (1, 96, 64)
    assert described.classes == 3
    assert config("eit_mini", image_size=96) == config("eit_mini", image_size=(96, 96))


def test_switches_are_arguments_of_the_family() -> None:
    assert config("eit_mini", patch=16).stem == PatchStem(16, 250)
    assert len(config("deit_tiny", depth=2).layers) == 2
    assert config("eit_small_image", patch=4, eit_t=False, position=True) == config(
        "vit_small_image", image_size=32
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: config("eit_mni"),
            "unknown model 'eit_mni'; did you mean eit_mini or ",
        ),
        (
            lambda: config("eit_mini", positon=True),
            "eit_mini has no switch 'positon'; did you mean position or pool?",
        ),
        (lambda: config("deit_tiny", source="x"), "deit_tiny has no switch 'source'"),
        (
            lambda: config("eit_mini", heads="4"),
            "eit_mini: heads is '4'; it takes a whole number of at least 1",
        ),
        (lambda: config("eit_mini", position=1), "eit_mini: position is 1; it takes True or False"),
        (
            lambda: config("eit_mini", image_size=0),
            "ImageShape.height is 0; it takes a whole number of at least 1",
        ),
        (
            lambda: config("eit_mini", classes=-1),
            "ClassTokenHead.classes is -1; it takes a whole number of at least 1 or 0",
        ),
    ],
)
def test_unknown_names_and_wrong_values_are_refused_with_what_would_work(
    make, message, without_shape_checks
) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    assert str(refused.value).startswith(message)


def test_an_unknown_name_that_resembles_nothing_lists_all() -> None:
    with pytest.raises(ConfigError, match="unknown model 'zzz'; known: deit_tiny, deit_small"):
        config("zzz")
