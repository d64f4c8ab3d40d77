"""Every recipe trains: a small model of its family, two steps on handwritten digits, all values in force."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

import vitreous as vt
from tests.models.entries import shrink
from vitreous.configuration.fields import flat, settings_types
from vitreous.configuration.layers import layered
from vitreous.models.as_json import to_json
from vitreous.recipes.flattened import chain, flattened, values
from vitreous.recipes.shipped import LABELS, recipe_facts, recipe_names
from vitreous.training.settings import TrainSettings

TYPES = settings_types(TrainSettings)
SMALLER = {
    "model",
    "image_size",
    "epochs",
    "batch_size",
    "reference",
    "distilling.teacher",
    "guidance.layers",
    "guidance.epochs",
}  # given by the test


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("vitreous.training.curves.draw_curves", lambda *_: None)  # half of the time
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run that stands for the teacher which a recipe names."""
    model = shrink("deit_tiny", classes=10, channels=1, image_size=8)
    out = tmp_path_factory.mktemp("teacher") / "run"
    small = {"epochs": 1, "batch_size": 24, "precision": "float32", "device": "cpu", "compile": False}
    vt.train("digits", json.dumps(to_json(model)), out, loading={"limit": 60}, **small)  # type: ignore[arg-type]
    return str(out)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains_and_all_its_values_are_in_force(name: str, tmp_path: Path, teacher: str) -> None:
    said = layered("train", TYPES, [name], {}).values
    named = said.get("model", "auto")
    guided = "guidance.teacher" in said
    deep = {"depth": 3} if guided else {}  # a guide wants three layers
    model = shrink("deit_tiny" if named == "auto" else named, classes=10, channels=1, **deep)
    result = vt.train(
        "digits",
        json.dumps(to_json(model)),
        tmp_path / "run",
        config=[name],
        epochs=1,
        batch_size=24,
        image_size="auto",
        reference=None,
        distilling={"teacher": teacher} if "distilling.teacher" in said else {},
        guidance={"layers": "auto", "epochs": 1} if guided else {},
        device="cpu",
        precision="float32",
        compile=False,
        loading={"limit": 60},
    )
    assert result.metrics["train/loss"] > 0
    used = yaml.safe_load((result.run_dir / "config.yaml").read_text())
    for key, value in said.items():
        section, _, field = key.rpartition(".")
        kept = (used[section] if section else used)[field]
        if key not in SMALLER and value != "auto":
            assert kept == (list(value) if isinstance(value, tuple) else value), key


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_tells_everything_with_its_source(name: str) -> None:
    facts = recipe_facts(name)
    assert facts.title and all(facts.said.get(label) for label in LABELS)
    assert f"--config {name} " in facts.said["Command"]
    for key, value in values(name).items():
        assert value.source, f"{key} has no source behind it"
    assert max(map(len, flattened(name).splitlines())) < 200


@pytest.mark.parametrize("name", recipe_names())
def test_no_recipe_repeats_what_it_is_based_on(name: str) -> None:
    own, based = chain(name)[0], chain(name)[1:]
    if not based:
        return
    below = values(based[0])
    for key, value in values(name).items():
        if value.recipe == own and key in below:
            assert (value.value, value.source) != (below[key].value, below[key].source), key


@pytest.mark.parametrize("name", recipe_names())
def test_a_copy_equals_the_recipe(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    copy.write_text(flattened(name))
    assert layered("train", TYPES, [str(copy)], {}).values == layered("train", TYPES, [name], {}).values


def test_the_small_data_recipe_is_what_one_gets_by_default() -> None:
    defaults = flat(TrainSettings())
    said = layered("train", TYPES, ["small_data"], {}).values
    assert said == {key: defaults[key] for key in said}
    fields = {f"recipe.{each.name}" for each in dataclasses.fields(TrainSettings().recipe)}
    assert len(said) > len(fields) / 2
