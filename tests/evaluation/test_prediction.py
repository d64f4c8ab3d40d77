"""`predict`: every kind of picture, names and probabilities, and nothing lost to a bad file."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.evaluation.conftest import CLASSES, LEVELS, picture
from vitreous import ConfigError, DataError, build, config, load, predict
from vitreous.cli.main import main
from vitreous.data.preprocessing import Preprocessing
from vitreous.interop.classifier import Classifier


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    found = []
    for name in CLASSES:
        path = tmp_path / f"a {name} one.png"
        picture(LEVELS[name], 3).save(path)
        found.append(str(path))
    return found


def test_names_and_probabilities_come_in_the_order_of_the_files(model: Path, files: list[str]) -> None:
    answers = predict(model, files[::-1])
    assert [each.path for each in answers] == files[::-1]
    assert [each.label for each in answers] == list(CLASSES[::-1])
    for each in answers:
        assert next(iter(each.probabilities)) == each.label and each.error is None
        assert each.probability == max(each.probabilities.values())
        assert list(each.probabilities.values()) == sorted(each.probabilities.values(), reverse=True)
        assert sum(each.probabilities.values()) == pytest.approx(1, abs=1e-6)


def test_a_model_without_classes_has_no_names_to_give(files: list[str]) -> None:
    described = config("eit_digits", classes=0)
    prepared = Preprocessing(channels=3, height=8, width=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    features = Classifier(build(described), classes=(), preprocessing=prepared)
    with pytest.raises(ConfigError, match="built for 0 classes: it gives features, and no names"):
        predict(features, files)


def test_the_probabilities_are_those_of_the_models_own_preprocessing(model: Path, files: list[str]) -> None:
    classifier = load(model)
    image = classifier.preprocessing.load(files[1])[None]
    expected = classifier(classifier.preprocessing.normalize(image)).softmax(dim=1)[0]
    found = predict(classifier, files[1])[0].probabilities
    assert [found[name] for name in CLASSES] == pytest.approx(expected.tolist(), abs=1e-6)


def test_a_picture_is_the_same_as_file_image_array_and_tensor(model: Path, files: list[str]) -> None:
    classifier = load(model)
    opened = Image.open(files[2])
    pixels = np.asarray(opened)
    kinds = [
        files[2],
        Path(files[2]),
        opened,
        pixels,
        pixels[:, :, None],
        pixels / 255,
        torch.from_numpy(pixels.copy())[None],
    ]
    for kind in kinds:
        for given in (kind, [kind]):
            (answer,) = predict(classifier, given)
            assert answer.label == "light"
            assert answer.probability == pytest.approx(predict(classifier, files[2])[0].probability, abs=1e-4)
    assert [each.path for each in predict(classifier, [pixels, opened])] == ["image 0", "image 1"]


def test_arrays_and_tensors_of_several_pictures_are_taken_apart(model: Path, files: list[str]) -> None:
    several = np.stack([np.asarray(Image.open(each)) for each in files])
    for given in (several[..., None], several, torch.from_numpy(several)[:, None]):
        assert [each.label for each in predict(model, given)] == list(CLASSES)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_size_of_batches_changes_nothing(model: Path, files: list[str], batch_size: int) -> None:
    found = predict(model, files * 2, batch_size=batch_size)
    assert [each.label for each in found] == list(CLASSES) * 2


def test_a_folder_gives_everything_inside_it_in_order(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for name, level in (
        ("b/z.png", 30),
        ("b/a.JPG", 225),
        ("c.png", 128),
        (".hidden/x.png", 30),
        ("notes.txt", 0),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            (folder / name).write_text("no image")
        else:
            picture(level, 1, 40).save(folder / name)
    found = predict(model, folder)
    assert [(Path(each.path).name, each.label) for each in found] == [
        ("c.png", "grey"), ("a.JPG", "light"), ("z.png", "dark"),
    ]  # fmt: skip


@pytest.mark.parametrize("top", [1, 2, 3, 99])
def test_top_is_clipped_to_the_classes(model: Path, files: list[str], top: int) -> None:
    assert len(predict(model, files[0], top=top)[0].probabilities) == min(top, 3)


def test_unreadable_pictures_say_so_and_the_others_get_their_answer(
    model: Path, files: list[str], tmp_path: Path
) -> None:
    truncated = tmp_path / "half.png"
    truncated.write_bytes(Path(files[0]).read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("not a picture")
    given = [files[0], str(truncated), str(tmp_path / "missing.png"), files[1], str(tmp_path / "text.jpg")]
    found = predict(model, given, batch_size=2)
    assert [each.label for each in found] == ["dark", None, None, "grey", None]
    for each in found:
        assert (each.error is None) == (each.label is not None)
    assert "no such file" in (found[2].error or "") and str(tmp_path) not in (found[2].error or "")
    assert found[1].probabilities == {} and found[1].probability is None


def test_greyscale_palette_transparent_deep_and_turned_pictures_are_understood(
    model: Path, tmp_path: Path
) -> None:
    grey = picture(225, 0, 16)
    kinds = {
        "l.png": grey,
        "rgb.png": grey.convert("RGB"),
        "p.png": grey.convert("P"),
        "rgba.png": grey.convert("RGBA"),
    }
    kinds["cmyk.jpg"] = grey.convert("CMYK")
    kinds["deep.png"] = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for name, image in kinds.items():
        image.save(tmp_path / name)
        assert predict(model, tmp_path / name)[0].label == "light", name


def test_what_cannot_be_predicted_is_said(model: Path, tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    for given, error, message in (
        ([], ConfigError, "no pictures to predict"),
        (tmp_path / "empty", DataError, "no images in it"),
    ):
        with pytest.raises(error, match=message):
            predict(model, given)
    with pytest.raises(ConfigError, match="top is 0; 1 or more works"):
        predict(model, files, top=0)
    with pytest.raises(ConfigError, match="does not exist"):
        predict(tmp_path / "nothing", files)


def test_the_callers_mode_of_the_model_stays(model: Path, files: list[str]) -> None:
    classifier = load(model).train()
    predict(classifier, files)
    assert classifier.training


def test_the_verb_prints_a_line_for_each_picture(
    model: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model), *files, "--top", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 4
    for line, path, name in zip(out[1:], files, CLASSES, strict=True):
        assert line.startswith(f"{path} ")
        assert f"  {name} " in line


def test_the_verb_writes_table_and_picture_and_exits_3_where_one_failed(
    model: Path, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, figure = tmp_path / "answers.csv", tmp_path / "answers.png"
    words = ["predict", str(model), files[0], str(tmp_path / "gone.png"), files[2]]
    assert main([*words, "--csv", str(table), "--figure", str(figure)]) == 3
    captured = capsys.readouterr()
    assert "dark" in captured.out and "light" in captured.out and "unreadable" in captured.out
    assert captured.err.strip() == "vitreous: 1 of 3 pictures could not be read"
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class_1"] for row in rows] == ["dark", "", "light"]
    assert rows[1]["error"] and float(rows[0]["probability_1"]) > 0.5
    with Image.open(figure) as drawn:
        assert drawn.width > 200 and len(drawn.convert("L").getcolors() or []) > 10


def test_the_verb_prints_one_object_with_json(
    model: Path, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(model), *files, "nothing.png", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)["predictions"]
    assert [each["label"] for each in told] == [*CLASSES, None]
    assert set(told[0]["probabilities"]) == set(CLASSES) and told[3]["error"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "predict needs RUN; for example: vitreous predict"),
        ("{model}", 2, "predict needs FILES"),
        ("nothing a.png", 2, "nothing does not exist"),
        ("{model} {file} --top 0", 2, "top is 0"),
        ("{model} {file} --tip 3", 2, "did you mean --top?"),
        ("{model} {file} --csv nowhere/a.csv", 2, "nowhere/a.csv cannot be written"),
        ("{model} {file} --figure nowhere/a.png", 2, "nowhere/a.png cannot be written"),
        ("{model} {file} --figure a.xyz", 2, "a.xyz: .png, .pdf or .svg works"),
        ("{model} {model}", 3, "no images in it"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_exit_code(
    words: str, code: int, message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(30, 1).save(tmp_path / "one.png")
    assert main(["predict", *words.format(model=model, file=tmp_path / "one.png").split()]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]
