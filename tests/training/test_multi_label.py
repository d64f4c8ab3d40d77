"""Training on images with any number of classes, from a table to a model that names several."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score
from torch.nn import functional as F

from vitreous.data.batch import Batch
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.data_views import look_as_model
from vitreous.evaluation.evaluate import evaluate
from vitreous.evaluation.prediction import predict
from vitreous.interop.model_folder import load
from vitreous.training.multi_label import MultiLabelObjective
from vitreous.training.objective import Shown
from vitreous.training.recipe import Recipe
from vitreous.training.settings import TrainSettings
from vitreous.training.tally import AnyNumber, OneClass
from vitreous.training.train import train
from vitreous.training.world import World


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with a bright left half, a bright upper half, both or neither, and labels that say so."""
    folder = tmp_path_factory.mktemp("halves")
    generator = np.random.default_rng(0)
    rows = [["image", "labels", "split"]]
    for number in range(80):
        left, upper = number & 1, number >> 1 & 1
        pixels = generator.integers(0, 60, (8, 8), dtype=np.uint8)
        pixels[:, :4] += 150 * np.uint8(left)
        pixels[:4, :] += 40 * np.uint8(upper)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        said = ";".join(name for name, has in (("left", left), ("upper", upper)) if has)
        rows.append([f"{number}.png", said, "train" if number < 60 else "val"])
    with (folder / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "images.csv"


@pytest.fixture(scope="module")
def two_classes(table: Path) -> str:
    from vitreous.models.as_json import to_json
    from vitreous.models.catalog import config

    tiny = config("eit_digits", image_size=8, classes=2, channels=1, width=16, depth=2, heads=2)
    return json.dumps(to_json(tiny))


def arguments(table: Path, model: str, out: Path, **changes: Any) -> dict[str, Any]:
    return {
        "data": str(table), "model": model, "out": str(out), "epochs": 12, "batch_size": 20, "lr": 1e-2,
        "precision": "float32", "device": "cpu", "recipe": {"flip": False, "mix_probability": 0.2},
    } | changes  # fmt: skip


def test_a_table_with_several_labels_trains_evaluates_and_predicts(table, two_classes, tmp_path):
    result = train(**arguments(table, two_classes, tmp_path / "run"))
    assert result.metrics["val/map"] > 0.9
    assert not any(name.endswith("top1") for name in result.metrics)
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["best"]["map"] >= result.metrics["val/map"] - 1e-6
    scored = evaluate(tmp_path / "run")
    assert scored.metrics["val/map"] == pytest.approx(result.metrics["val/map"], abs=1e-6)
    assert scored.confusion is None
    assert scored.per_class[0].average_precision is not None
    model = load(tmp_path / "run")
    assert model.multi_label
    answers = predict(model, [table.parent / f"{number}.png" for number in (60, 61, 62, 63)])
    wanted = [{"left"} if number & 1 else set() for number in (60, 61, 62, 63)]
    assert [set(each.labels) & {"left"} for each in answers] == wanted
    assert all(0 <= value <= 1 for each in answers for value in each.probabilities.values())


def test_the_loss_is_binary_cross_entropy_with_smoothing_towards_a_half():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator)
    labels = (torch.rand(5, 3, generator=generator) < 0.5).to(torch.uint8)
    objective = MultiLabelObjective(0.2)
    targets = objective.targets(Batch(torch.zeros(5, 1, 2, 2), labels, torch.arange(5)))
    smoothed = labels.float() * 0.8 + 0.1
    probabilities = logits.sigmoid()
    expected = -(smoothed * probabilities.log() + (1 - smoothed) * (1 - probabilities).log()).mean()
    found = objective(logits, Shown(torch.zeros(5), targets))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_macro_f1_of_one_class_an_image_is_scikit_learns():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 7, generator=generator)
    labels = torch.randint(5, (50,), generator=generator)  # two classes never occur
    tally = OneClass(7)
    for part in zip(logits.split(16), labels.split(16), strict=True):
        tally.add(*part)
    found = tally.result(World())
    assert found["f1_macro"] == pytest.approx(f1_score(labels, logits.argmax(1), average="macro"), abs=1e-9)
    assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, labels)), rel=1e-5)


def test_answers_of_any_number_are_measured_together_whatever_the_batches():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(20, 3, generator=generator)
    labels = (torch.rand(20, 3, generator=generator) < 0.5).to(torch.uint8)
    whole, parts = AnyNumber(), AnyNumber()
    whole.add(logits, labels)
    for part in zip(logits.split(6), labels.split(6), strict=True):
        parts.add(*part)
    assert whole.result(World()) == parts.result(World())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"recipe": {"balance": "weights"}}, r"recipe\.balance is for images of one class each"),
        ({"guidance": {"teacher": "cnn"}}, r"guidance\.teacher is for images of one class each"),
        ({"distilling": {"teacher": "x"}}, r"distilling\.teacher is for images of one class each"),
        ({"stopping": {"metric": "val/top1"}}, "val/top1 is not measured on images of any number of classes"),
    ],
)
def test_what_needs_one_class_an_image_is_refused(table, two_classes, tmp_path, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train(**arguments(table, two_classes, tmp_path / "run", **changes))


@pytest.mark.parametrize("mixed", [0.0, 1.0])
def test_a_page_shows_images_of_each_class_with_all_their_classes(table, two_classes, mixed):
    recipe = Recipe(flip=False, mixup=0.0, cutmix=mixed, mix_probability=mixed)
    views = look_as_model(TrainSettings(data=[str(table)], model=two_classes, device="cpu", recipe=recipe))
    said = {"left", "upper", "left|upper", "none of the classes"}
    for each in views.classes:
        for shown in each.train:
            number = int(Path(shown.where).stem)
            assert number & 1 if each.name == "left" else number >> 1 & 1
            assert mixed or {view.caption for view in shown.seen} <= said
        assert all(each.name in shown.seen[0].caption for shown in each.val)
        assert len(each.train) == len(each.val) == 2


def test_a_model_of_several_classes_is_not_measured_on_images_of_one(table, two_classes, tmp_path):
    train(**arguments(table, two_classes, tmp_path / "run", epochs=1))
    for number, name in enumerate(("left", "upper") * 4):
        (tmp_path / "single" / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 30 * number).save(tmp_path / "single" / name / f"{number}.png")
    with pytest.raises(DataError, match="has learned any number of classes an image, and these images are"):
        evaluate(tmp_path / "run", tmp_path / "single")
