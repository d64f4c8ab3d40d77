"""Released weights become a model folder: every family's names, real structures, and nothing left over."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.entries import SHRUNK, shrink
from tests.parity.recorded import recorded
from vitreous import load
from vitreous.errors import ConfigError, DataError, VerifyError
from vitreous.interop.authors import convert, read_class_names
from vitreous.interop.rename import to_theirs
from vitreous.models import VisionTransformer, build, list_models
from vitreous.models.catalog import CATALOG

WITH_NAMES = [name for name in list_models() if CATALOG[name].names]
OPTIONS = argparse.Namespace(lr=5e-4, model="theirs", output_dir="out")


def released(described: VisionTransformer, names: Callable[..., Any]) -> tuple[nn.Module, dict[str, Tensor]]:
    """A model, and its weights as its authors would have saved them."""
    torch.manual_seed(0)
    model = build(described).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # zeros and ones too become telling
    return model, to_theirs(model.state_dict(), names(described))


def arguments(name: str) -> dict[str, Any]:
    shrunk = SHRUNK[CATALOG[name].family]
    return {"image_size": shrunk.image_size, **shrunk.switches}


@pytest.mark.parametrize("name", WITH_NAMES)
def test_every_family_with_released_weights_is_read_from_its_authors_structure(
    name: str, tmp_path: Path
) -> None:
    model, theirs = released(shrink(name, classes=5), CATALOG[name].names)
    file = tmp_path / "theirs.pth"
    torch.save({"model": theirs, "epoch": 299, "args": OPTIONS, "optimizer": {"state": {}}}, file)
    done = convert(file, name, out=tmp_path / "model", **arguments(name))
    assert (done.config.name, done.config.classes, done.found.place) == (name, 5, "model")
    assert done.found.weights.keys() == theirs.keys()
    assert done.parameters == sum(each.numel() for each in model.parameters())
    loaded = load(tmp_path / "model")
    image = done.config.image
    images = torch.randn(2, image.channels, image.height, image.width)
    assert torch.equal(loaded(images), model(images))
    assert loaded.classes == ("class_0", "class_1", "class_2", "class_3", "class_4")


def test_timms_deit_becomes_ours_with_the_same_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("deit_tiny_patch16_224", num_classes=10).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    done = convert(tmp_path / "model.safetensors", "DeiT-Ti", out=tmp_path / "model")
    images = torch.randn(2, 3, 224, 224)
    torch.testing.assert_close(load(done.folder)(images), theirs(images), rtol=0, atol=1e-5)
    prepared = load(done.folder).preprocessing
    assert prepared.mean == (0.485, 0.456, 0.406) and prepared.crop_share == 0.875


def test_recorded_weights_of_eits_authors_give_their_recorded_logits(tmp_path: Path) -> None:
    run = recorded("eit_small_style")
    torch.save({"model": run.weights, "args": OPTIONS}, tmp_path / "theirs.pth")
    done = convert(
        tmp_path / "theirs.pth",
        "eit_small_image",
        out=tmp_path / "model",
        image_size=run.sizes["image_size"],
        width=run.sizes["width"],
        depth=run.sizes["depth"],
        heads=run.sizes["heads"],
        kernel=run.sizes["conv_kernel"],
        stride=run.sizes["conv_stride"],
        pool=run.sizes["pool"],
        position=run.sizes["position_embedding"],
    )
    torch.testing.assert_close(
        load(done.folder)(run.tensors["input"]), run.tensors["logits"], rtol=0, atol=1e-5
    )


def sret_sizes(sizes: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_size": sizes["image_size"],
        "head_width": sizes["base_dims"][0],
        "heads": tuple(sizes["heads"]),
        "blocks": tuple(sizes["blocks"]),
        "ratio": sizes["mlp_ratio"],
        "between_ratio": sizes["nll_mlp_ratio"],
    }


def test_srets_doubled_names_become_one_weight_and_give_the_recorded_logits(tmp_path: Path) -> None:
    run = recorded("sret_without_slices")
    theirs = run.weights
    wrapped = {f"module.{name}": each for name, each in theirs.items()}
    torch.save({"state_dict": wrapped, "epoch": 300, "arch": "SReT"}, tmp_path / "theirs.pth.tar")
    done = convert(
        tmp_path / "theirs.pth.tar", "SReT_T_wo_slice", out=tmp_path / "model", **sret_sizes(run.sizes)
    )
    torch.testing.assert_close(
        load(done.folder)(run.tensors["input"]), run.tensors["logits"], rtol=0, atol=1e-5
    )
    assert done.found.wrapped and len(done.found.weights) > len(list(load(done.folder).state_dict()))
    twice = next(name for name in theirs if name.startswith("transformers.0.blocks.2.attn.qkv.weight"))
    theirs[twice] = theirs[twice] + 1
    torch.save({"model": theirs}, tmp_path / "theirs.pth")
    with pytest.raises(VerifyError, match="two unequal weights would get the name"):
        convert(
            tmp_path / "theirs.pth", "sret_tiny_unsliced", out=tmp_path / "other", **sret_sizes(run.sizes)
        )
    assert not (tmp_path / "other").exists()


def test_names_of_classes_are_the_users_and_the_card_says_where_it_comes_from(tmp_path: Path) -> None:
    _, theirs = released(shrink("deit_tiny", classes=2), CATALOG["deit_tiny"].names)
    save_file(theirs, tmp_path / "theirs.safetensors")
    given = {"out": tmp_path / "model", **arguments("deit_tiny")}
    convert(tmp_path / "theirs.safetensors", "deit_tiny", classes=["ant", "bee"], **given)
    assert load(tmp_path / "model").classes == ("ant", "bee")
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "converted from: theirs.safetensors" in card and "source: authors' code" in card
    assert "through attention, ICML 2021, arXiv:2012.12877" in card and str(tmp_path) not in card
    with pytest.raises(ConfigError, match="3 class names do not fit a model with 2 outputs"):
        convert(tmp_path / "theirs.safetensors", "deit_tiny", classes=["a", "b", "c"], **given)


def theirs_of(name: str, **changes: Any) -> dict[str, Tensor]:
    return released(shrink(name, **changes), CATALOG[name].names)[1]


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (
            lambda: theirs_of("eit_mini"),
            "deit_tiny",
            r"left over in the model: .*; left over in the weights: ",
        ),
        (
            lambda: (
                theirs_of("deit_tiny") | {"dist_token": torch.zeros(1), "head_dist.weight": torch.zeros(1)}
            ),
            "deit_tiny",
            "left over in the weights: dist_token, head_dist.weight; this is another architecture",
        ),
        (
            lambda: theirs_of("deit_tiny", image_size=24),
            "deit_tiny",
            r"position\.table\.weight is \(1, 37, 16\) in the weights, \(1, 17, 16\) in the model; "
            "the model is for 16×16 pixels, an image size says otherwise",
        ),
        (
            lambda: {"fc.weight": torch.zeros(2)},
            "deit_tiny",
            "no head.weight to count classes from; the file has fc",
        ),
        (
            lambda: theirs_of("deit_tiny") | {"norm.weight": torch.full((16,), float("nan"))},
            "deit_tiny",
            "an image gives logits that are not finite",
        ),
    ],
)
def test_another_architecture_is_refused_by_its_names_and_nothing_is_written(
    tmp_path: Path, make: Callable[[], dict[str, Tensor]], name: str, message: str
) -> None:
    torch.save(make(), tmp_path / "theirs.pth")
    with pytest.raises(VerifyError, match=message):
        convert(tmp_path / "theirs.pth", name, out=tmp_path / "model", **arguments(name))
    assert not (tmp_path / "model").exists()


def test_a_model_of_ours_has_no_released_weights(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no released weights are known for psvit_1d_tiny \(source: ours\)"
    ):
        convert(tmp_path / "x", "psvit_1d_tiny", out=tmp_path / "model")


def test_class_names_are_read_from_lines_or_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ant\nhouse cat \n", encoding="utf-8")
    (tmp_path / "b.json").write_text('["ant", "house cat"]', encoding="utf-8")
    assert (
        read_class_names(tmp_path / "a.txt") == read_class_names(tmp_path / "b.json") == ["ant", "house cat"]
    )
    (tmp_path / "c.json").write_text('["ant", 3]', encoding="utf-8")
    (tmp_path / "d.json").write_text('["ant"', encoding="utf-8")
    (tmp_path / "e.txt").write_text("ant\n\nbee\n", encoding="utf-8")
    for name in ("c.json", "d.json", "e.txt", "missing"):
        with pytest.raises(DataError):
            read_class_names(tmp_path / name)
