"""Mistakes that other tools let pass, made on purpose from the data to the prediction."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.samples import encoded, fill, parquet, picture
from tests.data.test_check import scenes
from vitreous.data.digits import DigitRecords
from vitreous.data.images import open_images
from vitreous.data.loading import Loading
from vitreous.errors import ConfigError, DataError
from vitreous.evaluation.evaluate import evaluate
from vitreous.evaluation.prediction import predict
from vitreous.interop.model_folder import load
from vitreous.runs.dry_run import plan_run
from vitreous.training.assemble import make_val_batches
from vitreous.training.checkpoint import load_newest
from vitreous.training.plan import Plan
from vitreous.training.train import TrainResult, train

TrainTiny = Callable[..., TrainResult]
SMALL: dict[str, Any] = {
    "epochs": 1, "batch_size": 8, "model": "eit_small_image", "image_size": 16, "precision": "float32",
    "device": "cpu", "compile": False,
}  # fmt: skip


# validation class ids shifted


def test_a_folder_whose_validation_lacks_a_class_keeps_the_ids_of_training(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 4, "deer": 4, "dog": 4})
    fill(tmp_path / "val", {"cat": 2, "dog": 2})  # numbered on its own, dog would be 1
    data = open_images(str(tmp_path), loading=Loading(allow_missing_classes=True))
    assert data.classes == ("cat", "deer", "dog")
    assert data.splits["val"].labels.tolist() == [0, 0, 2, 2]


def test_a_parquet_file_with_its_own_numbering_gets_the_ids_of_training(tmp_path: Path) -> None:
    parquet(tmp_path / "train.parquet", [0, 1, 2] * 3, names=["cat", "deer", "dog"])
    parquet(tmp_path / "val.parquet", [0, 1, 2], names=["dog", "cat", "deer"])
    data = open_images(str(tmp_path))
    assert data.splits["val"].labels.tolist() == [2, 0, 1]


def test_a_parquet_file_that_counts_from_one_is_refused_with_the_shift(tmp_path: Path) -> None:
    parquet(tmp_path / "train.parquet", [0, 1] * 3, names=None)
    parquet(tmp_path / "val.parquet", [1, 2], names=None)
    with pytest.raises(DataError, match=r"class '2', unknown from training.*its numbers look shifted by 1"):
        open_images(str(tmp_path))


def test_ids_that_are_exchanged_under_the_same_names_are_told_before_the_first_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scenes(tmp_path / "set" / "train", {"cat": 30, "dog": 30})
    scenes(tmp_path / "set" / "val", {"cat": 30, "dog": 30}, start=900)
    _swap(tmp_path / "set" / "val" / "cat", tmp_path / "set" / "val" / "dog")
    train(str(tmp_path / "set"), out=tmp_path / "run", **SMALL)
    said = _warnings(caplog)
    assert any("the validation labels seem to be exchanged (cat looks like dog" in each for each in said), (
        said
    )


def _swap(a: Path, b: Path) -> None:
    aside = a.with_name("aside")
    a.rename(aside)
    b.rename(a)
    aside.rename(b)


# test images used for a choice


def test_training_never_opens_a_test_image(tiny_run: TrainTiny, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = DigitRecords.open

    def guarded(self: DigitRecords, i: int) -> Image.Image:
        assert "test" not in self.identity
        return opened(self, i)

    monkeypatch.setattr(DigitRecords, "open", guarded)
    tiny_run(epochs=1)


def test_the_best_epoch_cannot_be_chosen_on_test_images(tiny_run: TrainTiny) -> None:
    with pytest.raises(ConfigError, match="test/top1"):
        tiny_run(stopping={"metric": "test/top1"})


def test_a_file_called_test_is_never_taken_for_validation(tmp_path: Path) -> None:
    parquet(tmp_path / "pets-train.parquet", [0, 1] * 10)
    parquet(tmp_path / "pets-test.parquet", [0, 1])
    data = open_images(str(tmp_path))
    assert data.scan.cut and len(data.splits["train"]) + len(data.splits["val"]) == 20


def test_validation_that_is_a_copy_of_test_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 4, "dog": 4})
    fill(tmp_path / "test", {"cat": 3, "dog": 3}, size=(9, 9))
    shutil.copytree(tmp_path / "test", tmp_path / "val")
    with pytest.raises(DataError, match=r"val and test hold the same images.*chosen on the test images"):
        open_images(str(tmp_path))
    picture(5, (9, 9)).save(tmp_path / "val" / "cat" / "000.png")
    open_images(str(tmp_path))  # other images: a split of its own


def test_a_parquet_copy_of_test_as_validation_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "train.parquet", [0, 1] * 10)
    images = [encoded(picture(900 + number)) for number in range(6)]
    for name in ("validation", "test"):
        parquet(tmp_path / f"{name}.parquet", [0, 1] * 3, images=images)
    with pytest.raises(DataError, match="remove val, and a part of the training images is cut off for it"):
        open_images(str(tmp_path))


def test_validation_images_that_are_trained_on_are_told_before_the_first_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scenes(tmp_path / "set" / "train", {"cat": 10, "dog": 10})
    scenes(tmp_path / "set" / "val", {"cat": 5, "dog": 5}, start=900)
    shutil.copy(
        tmp_path / "set" / "train" / "cat" / "0001.png", tmp_path / "set" / "val" / "cat" / "0001.png"
    )
    train(str(tmp_path / "set"), out=tmp_path / "run", **SMALL)
    assert any(
        "1 of 10 validation images (10 %) are training images too" in said for said in _warnings(caplog)
    )


def test_a_run_in_order_is_warned_of_nothing(tiny_run: TrainTiny, caplog: pytest.LogCaptureFixture) -> None:
    tiny_run(epochs=1)
    assert _warnings(caplog) == []


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_dry_run_warns_of_what_the_run_would(
    tiny: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    plan_run(**tiny | {"recipe": {"ema_decay": 0.9999, "warmup_epochs": 9}})
    said = _warnings(caplog)
    assert len(said) == 2 and "warm-up of 9 epochs" in said[0] and "recipe.ema_decay 0.9999" in said[1]


# evaluation's transform unlike prediction's


def test_validation_evaluate_and_predict_give_one_image_the_same_logits(tmp_path: Path) -> None:
    fill(tmp_path / "set", {"cat": 12, "dog": 12}, size=(21, 17))  # has to be cut and resized
    result = train(str(tmp_path / "set"), out=tmp_path / "run", **SMALL)
    newest = load_newest(tmp_path / "run" / "checkpoints")
    assert newest is not None
    plan = Plan.from_json(newest.state["plan"])
    data = open_images(str(tmp_path / "set"), split_file=tmp_path / "run" / "split.csv")
    classifier = load(result.model_dir)
    (batch,) = make_val_batches(plan, data, Loading()).all()
    with torch.inference_mode():
        probabilities = classifier(plan.preprocessing.normalize(batch.images)).softmax(1)
    evaluated = evaluate(tmp_path / "run")
    files = [answer.where for answer in evaluated.answers]
    predicted = predict(classifier, files, top=2)
    for row, (answer, said) in enumerate(zip(evaluated.answers, predicted, strict=True)):
        expected = float(probabilities[row, classifier.classes.index(answer.predicted)])
        assert answer.probability == pytest.approx(expected, abs=1e-6)
        assert said.probabilities[answer.predicted] == pytest.approx(expected, abs=1e-6)
    assert evaluated.metrics["val/loss"] == pytest.approx(result.metrics["val/loss"], abs=1e-6)


def test_a_preprocessing_that_was_edited_after_measuring_is_told(
    tiny_run: TrainTiny, caplog: pytest.LogCaptureFixture
) -> None:
    file = tiny_run(epochs=1).model_dir / "preprocess.json"
    load(file.parent)
    assert _warnings(caplog) == []
    values = json.loads(file.read_text())
    values["std"] = [0.5]
    file.write_text(json.dumps(values))
    load(file.parent)
    (said,) = _warnings(caplog)
    assert "preprocess.json was changed after the model was measured (std was [0." in said
    assert "and is [0.5]): its accuracy is another one now" in said
    assert np.isfinite(predict(file.parent, picture(1, mode="L"))[0].probability or np.nan)
