"""`evaluate` on a folder whose right answers are known, and everything that can be wrong with it."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.evaluation.conftest import CLASSES, LEVELS, picture
from vitreous import ConfigError, DataError, evaluate
from vitreous.cli.main import main


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_the_figures_are_those_of_the_known_answers(model: Path, images: Path) -> None:
    before = files_of(images)
    result = evaluate(model, images)
    assert result.split == "test" and result.metrics["test/images"] == 12
    assert result.metrics["test/top1"] == 10 / 12
    assert result.confusion.tolist() == [[3, 0, 1], [1, 3, 0], [0, 0, 4]]
    assert [(each.name, each.images, each.recall) for each in result.per_class] == [
        ("dark", 4, 0.75), ("grey", 4, 0.75), ("light", 4, 1.0),
    ]  # fmt: skip
    assert result.confusions() == [("dark", "light", 1), ("grey", "dark", 1)]
    assert {Path(each.where).parent.name for each in result.mistakes()} == {"dark", "grey"}
    assert files_of(images) == before, "nothing is written into the user's images"
    assert "top-1 83.33%" in repr(result) and "\n" not in repr(result)


def test_the_files_hold_what_the_result_holds(model: Path, images: Path) -> None:
    result = evaluate(model, images)
    assert result.folder == model / "evaluation-images-test"
    told = json.loads((result.folder / "evaluation.json").read_text())
    assert told["metrics"] == result.metrics and told["confusion"] == result.confusion.tolist()
    with (result.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and sum(row["right"] == "1" for row in rows) == 10
    assert [row["predicted"] for row in rows if row["image"].endswith("dark/3.png")] == ["light"]
    for name in ("confusion.png", "mistakes.png"):
        with Image.open(result.folder / name) as picture_of_it:
            assert picture_of_it.width > 200 and len(picture_of_it.convert("L").getcolors() or []) > 10


def test_batches_of_any_size_and_both_loading_paths_agree(model: Path, images: Path, tmp_path: Path) -> None:
    whole = evaluate(model, images, out=tmp_path / "a")
    parts = evaluate(model, images, out=tmp_path / "b", batch_size=5)
    streamed = evaluate(model, images, out=tmp_path / "c", loading={"path": "streaming", "workers": 1})
    assert whole.metrics == pytest.approx(parts.metrics, abs=1e-6)
    assert whole.metrics == pytest.approx(streamed.metrics, abs=1e-6)


def test_images_without_named_splits_are_measured_as_a_whole(model: Path, images: Path) -> None:
    result = evaluate(model, images / "test")
    assert result.split == "all" and result.metrics["all/images"] == 12


def test_a_class_that_the_images_lack_is_no_matter_and_the_numbering_stays(model: Path, images: Path) -> None:
    shutil.rmtree(images / "test" / "dark")
    result = evaluate(model, images)
    assert result.metrics["test/top1"] == 7 / 8
    assert result.classes == CLASSES and result.confusion.sum(axis=1).tolist() == [0, 4, 4]


def test_a_class_that_the_model_does_not_know_is_refused_by_name(model: Path, images: Path) -> None:
    (images / "test" / "purple").mkdir()
    picture(5, 5).save(images / "test" / "purple" / "a.png")
    with pytest.raises(DataError, match="purple"):
        evaluate(model, images)


def test_an_unreadable_image_is_named_or_left_out(model: Path, images: Path) -> None:
    (images / "test" / "grey" / "bad.png").write_bytes(b"\x89PNG no")
    with pytest.raises(DataError, match=r"bad\.png"):
        evaluate(model, images)
    assert evaluate(model, images, loading={"skip_unreadable": True}).metrics["test/images"] == 12


def test_a_model_folder_alone_needs_images(model: Path) -> None:
    with pytest.raises(ConfigError, match="does not know which images to measure on; give them with --data"):
        evaluate(model)


def test_results_go_neither_into_the_images_nor_over_something_else(
    model: Path, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="lies inside the images"):
        evaluate(model, images, out=images / "results")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds something that is no evaluation"):
        evaluate(model, images, out=tmp_path / "thesis")
    evaluate(model, images, out=tmp_path / "results")
    evaluate(model, images, out=tmp_path / "results")


def test_a_device_that_is_not_there_is_said(model: Path, images: Path) -> None:
    for name in ("cuda:77", "quantum"):
        with pytest.raises(ConfigError, match=f"--device {name} cannot be used here"):
            evaluate(model, images, device=name)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("{model} --data {images}/nowhere", 3, "does not exist"),
        ("{model} --data {images} --split train", 3, "no train split; there is test"),
        ("{model} --data {images} --split dev", 2, "one of train, val, test is expected"),
        ("{model}", 2, "--data"),
        ("{images}", 2, "neither a run folder nor a model folder"),
        ("{model}/model.safetensors", 2, "is a file; give the run folder"),
        ("{images}.pt", 2, "is a pickle"),
        ("{model} --data {images} --batch-size 0", 2, "--batch-size is 0"),
        ("{model} --data {images} --out {model}/config.json", 2, "is a file; give a folder"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_exit_code(
    words: str, code: int, message: str, model: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = words.format(model=model, images=images).split()
    assert main(["evaluate", *typed]) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("vitreous: ") and message in last


def test_the_verb_prints_the_table_and_the_files(
    model: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model), "--data", str(images)]) == 0
    out = capsys.readouterr().out
    for text in (
        "dark",
        "75.00 %",
        "top-1",
        "83.33 %",
        "top-3",
        "k is clipped to 3 classes",
        "95 % interval",
        "images/s",
    ):
        assert text in out
    assert out.strip().splitlines()[-1] == str(model / "evaluation-images-test" / "mistakes.png")


def test_the_verb_prints_one_object_with_json(
    model: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(model), "--data", str(images), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["test/top1"] == 10 / 12 and Path(told["folder"]).is_dir()
    assert LEVELS.keys() == {each["name"] for each in told["per_class"]}
