"""Weights fitted to another model, image or set of classes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from timm.models import adapt_input_conv
from torch import Tensor

from vitreous.errors import ConfigError
from vitreous.interop.imagenet import imagenet_preprocessing
from vitreous.interop.pretrained import Pretrained, fitting_statistics, read_pretrained, start_from
from vitreous.interop.rename import to_theirs
from vitreous.models import VisionTransformer, build, config
from vitreous.models.catalog import CATALOG
from vitreous.models.described import fitted
from vitreous.models.lape import lape
from vitreous.models.sret import sret
from vitreous.parts import (
    Attention,
    Block,
    ClassTokenHead,
    FeedForward,
    ImageShape,
    LayerNorm,
    Mix,
    RelativePosition,
)

DEIT = config("deit_tiny", width=16, heads=2, depth=2, patch=4, image_size=16, classes=3)
SRET = sret(
    image=ImageShape(3, 32, 32), classes=3, head_width=8, heads=(1, 2), blocks=(1, 1), ratio=2, slices=None
)
RELATIVE = replace(DEIT, layers=(Block((Mix(Attention(2, relative=RelativePosition())), FeedForward(1))),))
LAPE = lape(DEIT)
NAMES = ("ant", "bee", "cat")


def trained(described: VisionTransformer, classes: tuple[str, ...] = NAMES) -> Pretrained:
    """A model with weights that no initialisation would give."""
    torch.manual_seed(1)
    state = {
        name: each + torch.rand_like(each) if each.is_floating_point() else each
        for name, each in build(described).state_dict().items()
    }
    return Pretrained("there", described, state, classes, imagenet_preprocessing(described.image))


def begun(
    target: VisionTransformer, source: Pretrained, classes: tuple[str, ...] = NAMES, **how: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor], str]:
    """The weights that a model starts with, those it would have had, and what was said."""
    torch.manual_seed(2)
    model = build(target)
    fresh = {name: each.clone() for name, each in model.state_dict().items()}
    said = start_from(model, source, classes=classes, **how)
    image = target.image
    assert model.eval()(torch.randn(1, image.channels, image.height, image.width)).isfinite().all()
    return model.state_dict(), fresh, "\n".join(said)


@pytest.mark.parametrize("described", [DEIT, SRET, RELATIVE, LAPE])
def test_the_same_model_for_the_same_classes_is_taken_whole(described: VisionTransformer) -> None:
    source = trained(described)
    found, _, said = begun(described, source)
    assert all(torch.equal(found[name], each) for name, each in source.weights.items())
    assert said == "weights from there"


def test_for_other_classes_the_classifier_alone_starts_anew_and_that_is_said() -> None:
    for classes in (("ant", "bee", "cow"), ("bee", "ant", "cat"), ("ant", "bee", "cat", "dog")):
        source = trained(DEIT)
        found, fresh, said = begun(fitted(DEIT, classes=len(classes)), source, classes)
        assert f"the classifier of {len(classes)} classes starts anew" in said
        for name in found:
            expected = fresh if name.startswith("head.classifier.") else source.weights
            assert torch.equal(found[name], expected[name]), name


@pytest.mark.parametrize(
    ("described", "table"),
    [
        (DEIT, "position.table.weight"),
        (SRET, "position.table.weight"),
        (RELATIVE, "layers.0.branches.0.mixer.relative.table"),
        (LAPE, "position.table.weight"),
    ],
)
def test_position_tables_are_resized_and_nothing_else_changes(
    described: VisionTransformer, table: str
) -> None:
    source = trained(described)
    found, _, said = begun(fitted(described, image_size=48), source)
    assert table in said and "resized" in said
    for name, each in source.weights.items():
        if name == table or name == "position.table.weight":
            assert found[name].shape != each.shape
        else:
            assert torch.equal(found[name], each), name


@pytest.mark.parametrize("channels", [1, 4])
def test_kernels_for_other_channels_follow_timms_rule(channels: int) -> None:
    source = trained(DEIT)
    found, _, said = begun(fitted(DEIT, channels=channels), source)
    expected = adapt_input_conv(channels, source.weights["stem.conv.weight"])
    assert torch.equal(found["stem.conv.weight"], expected)
    assert f"stem.conv.weight from 3 to {channels} channels" in said


def test_parts_without_a_counterpart_start_as_new_and_are_named() -> None:
    source = trained(DEIT)
    block = Block((Mix(Attention(2, relative=RelativePosition())), FeedForward(4)))
    found, fresh, said = begun(replace(DEIT, layers=(block, block)), source)
    named = next(line for line in said.splitlines() if line.startswith("without a counterpart"))
    assert "layers.0.branches.0.mixer.relative.table, layers.1." in named
    shared = [name for name in found if name in source.weights]
    assert shared and all(torch.equal(found[name], source.weights[name]) for name in shared)
    assert all(torch.equal(found[name], fresh[name]) for name in found if name not in source.weights)


def test_a_weight_that_is_left_over_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"--pretrained there: layers.1.*no place in the model for it"):
        begun(replace(DEIT, layers=DEIT.layers[:1]), trained(DEIT))


def test_another_width_is_refused_with_what_would_work() -> None:
    wider = config("deit_tiny", width=32, heads=2, depth=2, patch=4, image_size=16, classes=3)
    with pytest.raises(ConfigError, match=r"there and .* in the model.*--pretrained-by selection"):
        begun(wider, trained(DEIT))


def test_selection_cuts_a_larger_model_to_size_and_starts_the_classifier_anew() -> None:
    larger = config("deit_tiny", width=32, heads=4, depth=3, patch=4, image_size=32, classes=3)
    source = trained(larger)
    found, fresh, said = begun(DEIT, source, selection=True)
    assert "selected from the larger model evenly" in said
    assert torch.equal(found["prefix.token"], source.weights["prefix.token"][..., ::2])
    assert torch.equal(found["head.classifier.weight"], fresh["head.classifier.weight"])


def test_a_checkpoint_of_the_authors_is_read_by_its_name(tmp_path: Path) -> None:
    described = config("deit_tiny", image_size=224, classes=2)
    state = build(described).state_dict()
    file = tmp_path / "theirs.safetensors"
    names = CATALOG["deit_tiny"].names
    assert names is not None
    save_file(to_theirs(state, names(described)), file)
    found = read_pretrained(str(file), "deit_tiny")
    assert found.config == described and found.classes == ()
    assert all(torch.equal(found.weights[name], each) for name, each in state.items())
    with pytest.raises(ConfigError, match="is a checkpoint without a description; --model NAME says what"):
        read_pretrained(str(file), "auto")


def test_pixels_are_normalised_as_the_weights_know_them_where_channels_are_equal() -> None:
    source = trained(DEIT)
    own = replace(source.preprocessing, mean=(0.1,) * 3, std=(0.2,) * 3, height=16, width=16)
    assert fitting_statistics(own, source).mean == source.preprocessing.mean
    grey = replace(own, channels=1, mean=(0.1,), std=(0.2,))
    assert fitting_statistics(grey, source) == grey


def test_the_norm_of_a_head_with_another_form_is_left_out() -> None:
    assert isinstance(DEIT.head, ClassTokenHead)
    other = replace(DEIT, head=replace(DEIT.head, norm=LayerNorm(), pre_logits=8))
    found, fresh, _ = begun(DEIT, trained(other), ("x", "y", "z"))
    assert torch.equal(found["head.classifier.weight"], fresh["head.classifier.weight"])
