"""A person trains, evaluates and predicts by typing; and everything that can be wrong with what is typed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from vitreous import config, load
from vitreous.cli.main import main
from vitreous.models.as_json import to_json

QUICK = [
    "--epochs", "1", "--precision", "float32", "--no-compile", "--device", "cpu", "--batch-size", "32",
    "--loading.path", "resident",
]  # fmt: skip


@pytest.fixture(autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    described = config("eit_digits", classes=10, channels=1, width=16, depth=2, heads=2)
    (tmp_path / "tiny.json").write_text(json.dumps(to_json(described)))
    return str(tmp_path / "tiny.json")


def digits(folder: Path, count: int = 3) -> list[str]:
    bunch = load_digits()
    folder.mkdir()
    paths = []
    for number in range(count):
        pixels = np.round(bunch.images[number] * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        paths.append(str(folder / f"{number}.png"))
    return paths


def test_train_evaluate_and_predict_by_command(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--data", "digits", "--model", tiny, "--loading.limit", "200", *QUICK]
    assert main([*words, "-o", "runs/one"]) == 0
    out = capsys.readouterr().out.strip().splitlines()
    assert Path(out[-1]) == Path("runs/one/model"), "the last line is the deliverable"
    classifier = load(out[-1])
    assert classifier.classes == tuple("0123456789")

    assert main([*words, "-o", "runs/one", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run_dir"] == "runs/one", "the same command again finds the run finished"

    assert main(["evaluate", "runs/one", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["folder"] == "runs/one/evaluation-val"
    assert measured["metrics"]["val/top1"] == pytest.approx(told["metrics"]["val/top1"], abs=1e-6)
    assert measured["metrics"]["val/loss"] == pytest.approx(told["metrics"]["val/loss"], abs=1e-5)
    # the same images by name are the run's own, with its own split
    assert main(["evaluate", "runs/one/model", "--data", "digits", "--split", "val", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == measured["metrics"]
    assert main(["evaluate", "runs/one", "--split", "test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["test/images"] == 450

    Path("runs/one/split.csv").unlink()
    assert main(["evaluate", "runs/one"]) == 2, "images that were trained on must not be taken for others"
    assert "nobody knows which images were held out" in capsys.readouterr().err

    files = digits(tmp_path / "some")
    assert main(["predict", "runs/one", *files, "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["predictions"]
    assert len(answers) == 3 and all(each["label"] in classifier.classes for each in answers)


def folder_of(root: Path, tree: dict[str, int]) -> str:
    """Class folders with so many 16×16 images each."""
    for name, count in tree.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return str(root)


def broken(root: Path) -> str:
    folder = folder_of(root, {"train/a": 4, "train/b": 4, "val/a": 2, "val/b": 2})
    whole = (root / "train/a/0.png").read_bytes()
    (root / "train/a/cut.png").write_bytes(whole[: len(whole) // 2])
    return folder


Data = Callable[[Path], str]
CASES: dict[str, tuple[Data, list[str], int, str]] = {
    "a path that does not exist": (lambda root: str(root / "gone"), [], 3, "gone does not exist"),
    "no images": (lambda root: folder_of(root, {"a": 0, "b": 0}), [], 3, "no images found"),
    "one class only": (lambda root: folder_of(root, {"only": 4}), [], 3, "only one class ('only')"),
    "a class in val that train lacks": (
        lambda root: folder_of(root, {"train/a": 3, "train/b": 3, "val/a": 2, "val/c": 2}), [], 3, "'c'",
    ),
    "a class missing from val": (
        lambda root: folder_of(root, {"train/a": 3, "train/b": 3, "val/a": 2}), [], 3, "'b'",
    ),
    "a truncated image": (broken, [], 3, "cut.png"),
    "an image size that does not fit the patches": (
        lambda root: folder_of(root, {"a": 4, "b": 4}),
        ["--model", "deit_tiny", "--image-size", "50"], 2, "50",
    ),
    "an unknown model": (
        lambda root: folder_of(root, {"a": 4, "b": 4}), ["--model", "eit_mni"], 2, "did you mean eit_mini",
    ),
    "a model file that is no model": (
        lambda root: folder_of(root, {"a": 4, "b": 4}), ["--model", "missing.json"], 2, "missing.json",
    ),
    "an impossible time": (
        lambda root: folder_of(root, {"a": 4, "b": 4}), ["--time", "soon"], 2, "soon",
    ),
    "a device that is not there": (
        lambda root: folder_of(root, {"a": 4, "b": 4}), ["--device", "quantum"], 2, "quantum",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_with_its_exit_code(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words, code, message = CASES[case]
    data = make(tmp_path / "images")
    given = sorted(tmp_path.rglob("*"))
    assert main(["train", "--data", data, "--model", "eit_digits", "-o", "run", *words]) == code
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("vitreous: ") and message in last
    assert "Traceback" not in captured.err and captured.out == ""
    assert sorted(tmp_path.rglob("*")) == given, "nothing is left behind"


def test_an_out_folder_that_holds_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("ten years of work")
    assert main(["train", "--data", "digits", "--out", "thesis"]) == 2
    assert "holds something that is not a vitreous run" in capsys.readouterr().err
    assert [each.name for each in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]


def test_a_real_process_ends_with_the_exit_code_of_bad_data(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vitreous", "train", "--data", "gone"], capture_output=True, text=True
    )
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("vitreous: gone does not exist")
    assert list(tmp_path.rglob("*.*")) == []
