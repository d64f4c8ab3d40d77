"""`vitreous data check`: exit codes, the object, the table."""

import json
import shutil
from pathlib import Path

import pytest

from tests.data.test_check import scenes
from vitreous.cli.main import main


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path / "home"))
    scenes(tmp_path / "set" / "train", {"cat": 24, "dog": 8})
    scenes(tmp_path / "set" / "val", {"cat": 6, "dog": 6}, start=500)
    return tmp_path / "set"


def test_warnings_end_with_0_and_with_strict_as_errors_do_with_3(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(data)]) == 0
    out = capsys.readouterr().out
    assert "! balance" in out and "→ --recipe.balance" in out and "0 errors, 1 warning" in out
    assert out.splitlines()[:3] == [
        "class  train  val  of the largest",
        "cat       24    6            1.00",
        "dog        8    6            0.33",
    ]
    assert main(["data", "check", str(data), "--strict"]) == 3


def test_a_leak_ends_with_3_and_the_object_lists_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(data / "train" / "cat" / "0000.png", data / "val" / "cat" / "leak.png")
    assert main(["data", "check", str(data), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False and told["errors"] == 1 and told["images"] == {"train": 32, "val": 13}
    leak = next(each for each in told["findings"] if each["check"] == "duplicates across splits")
    assert leak["level"] == "error" and "leak.png" in leak["items"][0]


def test_data_that_are_not_there_end_with_3_and_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(data / "nowhere")]) == 3
    assert "does not exist" in capsys.readouterr().err
    assert main(["data"]) == 0 and main(["data", "chek"]) == 2
    assert "did you mean check?" in capsys.readouterr().err


def test_show_takes_the_settings_of_train_and_prints_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("model: eit_digits\ndevice: cpu\nrecipe: {erasing: 0.5}\n")
    page = tmp_path / "digits.html"
    assert main(["data", "show", "digits", "--config", str(config), "--out", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert "a rectangle of 50 % of the images" in page.read_text(encoding="utf-8")
    assert main(["data", "show", "digits", "--recipe.erasin", "1"]) == 2
