"""Runs that start from trained weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from vitreous.errors import ConfigError, StoppedError
from vitreous.interop.authors import convert
from vitreous.interop.model_folder import load
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.training.train import TrainResult

Run = Callable[..., TrainResult]


@pytest.fixture
def trained(tiny_run: Run, tmp_path: Path) -> Path:
    return tiny_run(out=str(tmp_path / "first"), epochs=1).run_dir


def first_weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "step-000000" / "model.safetensors")


def test_a_run_starts_from_the_weights_of_another_with_its_model_and_statistics(
    tiny_run: Run, trained: Path
) -> None:
    done = tiny_run(model="auto", pretrained=str(trained), epochs=1, lr="auto", saving={"keep": 9})
    source = load(trained)
    assert load(done.run_dir).config == source.config
    assert load(done.run_dir).preprocessing == source.preprocessing
    for name, each in first_weights(done.run_dir).items():
        assert torch.equal(each, source.model.state_dict()[name]), name
    text = (done.run_dir / "config.yaml").read_text()
    assert "model: auto  # the pretrained one" in text
    assert "lr: 0.0001  # a tenth of 2e-3" in text
    assert "pretrained: weights from" in (done.run_dir / "train.log").read_text()


def test_at_another_image_size_and_for_other_classes_the_rest_is_kept(tiny_run: Run, trained: Path) -> None:
    done = tiny_run(
        model="auto", pretrained=str(trained), image_size=16, epochs=1, data="digits", saving={"keep": 9}
    )
    assert load(done.run_dir).config.image.height == 16
    source = load(trained).model.state_dict()
    name = "layers.1.branches.1.widen.weight"
    assert torch.equal(first_weights(done.run_dir)[name], source[name])


def test_a_run_from_pretrained_weights_continues_without_them(
    tiny_run: Run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = tiny_run(model="auto", pretrained=str(trained), out=str(tmp_path / "straight"))
    from vitreous.training.loop import Loop

    validate = Loop._validate

    def stop(loop: Loop, line: Any) -> None:
        validate(loop, line)
        loop._save(must=True)
        raise StoppedError("stopped", 75)

    monkeypatch.setattr(Loop, "_validate", stop)
    with pytest.raises(StoppedError):
        tiny_run(model="auto", pretrained=str(trained))
    monkeypatch.undo()
    trained.rename(tmp_path / "gone")
    done = tiny_run(model="auto", pretrained=str(trained))
    for one, other in zip(load(straight.run_dir).parameters(), load(done.run_dir).parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_the_head_leaves_everything_else_as_it_was(tiny_run: Run, trained: Path) -> None:
    recipe = {"train": "head", "optimizer": "muon", "dropout": 0.1}
    done = tiny_run(model="auto", pretrained=str(trained), recipe=recipe)
    before, after = load(trained).model.state_dict(), load(done.run_dir).model.state_dict()
    for name, each in after.items():
        assert torch.equal(each, before[name]) != name.startswith("head."), name


def test_a_smaller_model_is_cut_out_of_a_larger_one(tiny_run: Run, trained: Path) -> None:
    small = config("eit_digits", image_size=8, classes=10, channels=1, width=8, depth=2, heads=2)
    model = json.dumps(to_json(small))
    done = tiny_run(
        model=model, pretrained=str(trained), pretrained_by="selection", epochs=1, saving={"keep": 9}
    )
    found, larger = first_weights(done.run_dir), load(trained).model.state_dict()
    assert torch.equal(found["prefix.token"], larger["prefix.token"][..., ::2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pretrained": "nowhere"}, "nowhere does not exist; give a run folder or a model folder"),
        ({"recipe": {"train": "head"}}, "recipe.train head leaves random features as they are"),
        (
            {"pretrained": ".", "pretrained_by": "selection", "model": "auto"},
            "--pretrained-by selection needs the smaller model that is to be made: --model NAME",
        ),
    ],
)
def test_what_cannot_be_started_from_is_said_before_training(
    tiny_run: Run, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_run(**changes)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_timm_that_was_converted_is_fine_tuned_on_grey_images(
    tiny_run: Run, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    sizes = {"embed_dim": 16, "depth": 2, "num_heads": 2, "img_size": 16, "patch_size": 4}
    theirs = timm.create_model("deit_tiny_patch16_224", num_classes=7, **sizes)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = {"width": 16, "depth": 2, "heads": 2, "patch": 4, "image_size": 16}
    convert(tmp_path / "theirs.safetensors", "deit_tiny", out=tmp_path / "converted", **ours)
    done = tiny_run(
        model="auto", pretrained=str(tmp_path / "converted"), image_size=8, epochs=1, saving={"keep": 9}
    )
    found, state = first_weights(done.run_dir), theirs.state_dict()
    assert torch.equal(found["layers.1.branches.0.mixer.qkv.weight"], state["blocks.1.attn.qkv.weight"])
    summed = state["patch_embed.proj.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(found["stem.conv.weight"], summed)
    assert found["position.table.weight"].shape == (1, 1 + 2 * 2, 16)
    assert found["head.classifier.weight"].shape == (10, 16)


def test_mimetic_weights_are_where_a_run_starts_and_no_pretrained_ones(tiny_run: Run, tmp_path: Path) -> None:
    runs = [
        tiny_run(epochs=1, saving={"keep": 9}, out=str(tmp_path / init), recipe={"init": init}).run_dir
        for init in ("default", "mimetic")
    ]
    plain, mimetic = map(first_weights, runs)
    differ = {name for name, each in plain.items() if not torch.equal(each, mimetic[name])}
    assert differ and all(".qkv." in name or ".project." in name for name in differ)
    with pytest.raises(ConfigError, match=r"recipe.init mimetic and --pretrained both say how weights start"):
        tiny_run(pretrained=str(runs[0]), recipe={"init": "mimetic"})
