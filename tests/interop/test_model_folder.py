"""The model folder: complete, exact, readable by nobody's code but ours, and never half there."""

import copy
import io
import json
import pickle
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from vitreous import ConfigError, VitreousError, build, config, fold, load
from vitreous.data.preprocessing import Preprocessing
from vitreous.interop.model_card import model_card, without_folders
from vitreous.interop.model_folder import CONFIG, FILES, LABELS, PREPROCESS, WEIGHTS, save_model
from vitreous.models import list_models
from vitreous.models.catalog import CATALOG

CLASSES = ("ant", "bee", "cat")
PREPROCESSING = Preprocessing(channels=1, height=8, width=8, mean=(0.3,), std=(0.4,))


def save(folder: Path, *, metrics: Mapping[str, float] | None = None, **provenance: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build(config("eit_digits", classes=3, channels=1, depth=1)).eval()
    save_model(
        folder,
        model,
        classes=CLASSES,
        preprocessing=PREPROCESSING,
        metrics=metrics or {},
        provenance=provenance,
    )
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "run" / "model")
    return tmp_path / "run" / "model"


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    model = save(tmp_path / "model")
    classifier = load(tmp_path / "model")
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(classifier(images), model(images), rtol=0, atol=0)
    assert classifier.classes == CLASSES
    assert classifier.preprocessing == PREPROCESSING
    assert classifier.config == model.config and classifier.config.name == "eit_digits"
    assert not classifier.training


def test_loading_draws_nothing_from_the_callers_random_stream(folder: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(folder)
    assert torch.equal(torch.rand(3), expected)


def test_a_run_folder_leads_to_its_model(folder: Path) -> None:
    assert load(folder.parent).classes == CLASSES


def test_the_folder_holds_the_five_files_and_no_pickle(folder: Path) -> None:
    assert {each.name for each in folder.iterdir()} == set(FILES)
    assert [each.name for each in folder.parent.iterdir()] == ["model"], "drafts are gone"


def test_a_second_save_replaces_the_first(folder: Path) -> None:
    save(folder, metrics={"val/top1": 0.5})
    assert "0.5000" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_classifier_can_be_copied_and_pickled_and_moved(folder: Path) -> None:
    classifier = load(folder)
    images = torch.rand(1, 1, 8, 8)
    for twin in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier)), classifier.to("cpu")):
        assert torch.equal(twin(images), classifier(images))
        assert twin.classes == CLASSES


def test_a_repr_fits_a_line_and_says_what_matters(folder: Path) -> None:
    text = repr(load(folder))
    assert "\n" not in text and len(text) < 200
    assert all(each in text for each in ("eit_digits (ours)", "3 classes: ant, bee, cat", "1×8×8", "cpu"))


def test_the_number_of_class_names_must_be_that_of_the_outputs(tmp_path: Path) -> None:
    model = build(config("eit_digits", classes=4, channels=1, depth=1))
    with pytest.raises(ConfigError, match="3 class names do not fit a model with 4 outputs"):
        save_model(
            tmp_path / "m", model, classes=CLASSES, preprocessing=PREPROCESSING, metrics={}, provenance={}
        )


def test_a_folded_model_is_not_saved_under_a_name_that_could_not_load_it(tmp_path: Path) -> None:
    folded = fold(build(config("eit_digits_lape", classes=3, channels=1, depth=1)))
    with pytest.raises(ConfigError, match="a folded model cannot be saved"):
        save_model(
            tmp_path / "model",
            folded,
            classes=CLASSES,
            preprocessing=PREPROCESSING,
            metrics={},
            provenance={},
        )
    assert not (tmp_path / "model").exists()


def test_a_folder_with_something_else_in_it_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(ConfigError, match="holds something that is not a model"):
        save(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


class Payload:
    """A pickle that makes a file when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def dangerous(mark: Path) -> bytes:
    return pickle.dumps(Payload(mark))


def test_the_payload_of_these_tests_is_armed(tmp_path: Path) -> None:
    pickle.loads(dangerous(tmp_path / "mark"))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", ["model.pt", "weights.pth", "pytorch_model.bin", "last.ckpt", "m.pkl"])
def test_a_pickle_is_refused_by_name_and_never_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(dangerous(tmp_path / "mark"))
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(ConfigError, match=f"{name}.* a pickle, which can run code .* refused"):
            load(path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, LABELS, PREPROCESS])
def test_a_pickle_under_another_name_is_refused_and_never_run(
    folder: Path, tmp_path: Path, name: str
) -> None:
    (folder / name).write_bytes(dangerous(tmp_path / "mark"))
    with pytest.raises(VitreousError, match=name):
        load(folder)
    buffer = io.BytesIO()
    torch.save(Payload(tmp_path / "mark"), buffer)
    (folder / name).write_bytes(buffer.getvalue())
    with pytest.raises(VitreousError, match=name):
        load(folder)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("name", [WEIGHTS, LABELS, PREPROCESS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=f"no {name}"):
        load(folder)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_weights_are_recognised(folder: Path, share: float) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ConfigError, match=r"model\.safetensors is truncated, damaged, or not safetensors"):
        load(folder)


def test_weights_of_another_architecture_are_refused_with_the_first_keys_that_differ(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    first = sorted(weights)[0]
    save_file({name: value for name, value in weights.items() if name != first}, folder / WEIGHTS)
    with pytest.raises(ConfigError, match=f"does not fit config.json: {first} is missing"):
        load(folder)
    save_file({**weights, "extra.weight": torch.zeros(2)}, folder / WEIGHTS)
    with pytest.raises(ConfigError, match=r"extra\.weight is not part of the model"):
        load(folder)
    save_file({**weights, first: torch.zeros(7, 7)}, folder / WEIGHTS)
    with pytest.raises(ConfigError, match=rf"{first} is \(7, 7\) in the file and \(.*\) in the model"):
        load(folder)


def test_labels_that_do_not_fit_are_refused(folder: Path) -> None:
    for labels, message in (
        (["ant"], "1 class names do not fit a model with 3 outputs"),
        ({"0": "ant"}, "a list of class names is expected"),
        ([1, 2, 3], "a list of class names is expected"),
    ):
        (folder / LABELS).write_text(json.dumps(labels))
        with pytest.raises(ConfigError, match=message):
            load(folder)


def test_a_preprocessing_for_other_channels_than_the_models_is_refused(folder: Path) -> None:
    other = Preprocessing(channels=3, height=8, width=8, mean=(0.3,) * 3, std=(0.4,) * 3)
    (folder / PREPROCESS).write_text(json.dumps(other.to_json()))
    with pytest.raises(ConfigError, match=r"preprocess\.json: images of 3×8×8, but the model takes 1×8×8"):
        load(folder)


def test_what_is_there_instead_of_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="neither a run folder nor a model folder"):
        load(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError, match="a run without a finished model yet; repeat the command"):
        load(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="is a file; give the run folder"):
        load(tmp_path / "notes.txt")


def test_the_card_tells_what_where_from_and_how_good(tmp_path: Path) -> None:
    save(
        tmp_path / "model",
        metrics={"val/top1": 0.987654, "model/macs": 1234567.0},
        command="vitreous train --data /home/someone/flowers --out ~/runs/a",
        data="/home/someone/flowers",
        seed=3,
        settings={"recipe": {"mixup": 0.2}, "out": "/scratch/someone/runs/a"},
    )
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---", 2)
    assert yaml.safe_load(front)["tags"] == ["image-classification", "vision-transformer", "eit_digits"]
    assert yaml.safe_load(front)["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.987654
    for text in (
        "source: ours",
        "1,234,567",
        "`ant`, `bee`, `cat`",
        "0.9877",
        "arXiv:2203.07116",
        "recipe.mixup: 0.2",
    ):
        assert text in body
    for private in ("/home", "someone", "/scratch", "~", str(tmp_path), socket.gethostname()):
        assert private not in card
    assert "--data …/flowers --out …/a" in body


def test_a_card_hides_secrets_and_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "very-secret-value")
    assert without_folders("x https://me:pw@host.org/data y") == "x https://***@host.org/data y"
    assert without_folders("--data /a/b/c very-secret-value") == "--data …/c ***"
    assert without_folders("--data ../b/c torch/cifar10 lr 1/2") == "--data …/c torch/cifar10 lr 1/2"


@pytest.mark.parametrize("name", list_models())
def test_the_card_of_every_name_tells_its_source_and_its_papers(name: str) -> None:
    card = model_card(config(name), classes=("a", "b"), parameters=1, metrics={}, provenance={})
    entry = CATALOG[name]
    assert f"- architecture: `{name}` (source: {entry.source}), {entry.paper}\n" in card
    citation = card.partition("## Citation\n")[2].strip().splitlines()
    numbers = re.findall(r"arXiv (\S{10})", entry.paper)
    assert [line[-len("arXiv:2203.07116") :] for line in citation] == [
        f"arXiv:{number}" for number in numbers
    ]
    assert numbers and all(line.startswith("- ") for line in citation)


def test_the_card_of_a_model_without_a_name_cites_nobody() -> None:
    mine = replace(config("eit_digits"), name="mine", source="my own")
    card = model_card(mine, classes=("a",), parameters=1, metrics={}, provenance={})
    assert "- architecture: `mine` (source: my own)\n" in card and "## Citation" not in card
