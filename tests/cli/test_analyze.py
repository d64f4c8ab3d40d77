"""`vitreous analyze`: sentences on stdout, everything in the folder, mistakes named."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitreous.cli.main import main
from vitreous.models import config
from vitreous.models.as_json import to_json


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, str]:
    value = config("deit_tiny", width=16, depth=2, heads=2, patch=4, image_size=16, classes=2)
    (tmp_path / "mine.json").write_text(json.dumps(to_json(value)))
    drawn = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            pixels = drawn.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return str(tmp_path / "mine.json"), str(tmp_path / "photos")


def test_it_prints_a_sentence_for_each_analysis_and_the_folder(given, tmp_path: Path, capsys) -> None:
    model, photos = given
    out = tmp_path / "out"
    words = ["analyze", model, "--data", photos, "--only", "hfd, tokens", "--out", str(out), "--images", "10"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "mine (untrained)" in told and "High-frequency share\n" in told and "noise would have" in told
    assert told.splitlines()[-1] == str(out) and (out / "analysis.json").exists()


def test_json_is_one_object(given, tmp_path: Path, capsys) -> None:
    model, photos = given
    words = ["analyze", model, "--data", photos, "--only", "tokens", "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["models"][0]["analyses"]["tokens"]["values"]["raw"] and told["folder"] == str(
        tmp_path / "out"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "hfd,hads"], 2, "hads is no analysis"),
        (["--images", "0"], 2, "--images is 0"),
        (["--split", "test"], 3, "no test split"),
        (["--imags", "3"], 2, "--images"),
    ],
)
def test_a_mistake_is_one_sentence(given, tmp_path: Path, capsys, words, code: int, said: str) -> None:
    model, photos = given
    assert main(["analyze", model, "--data", photos, "--out", str(tmp_path / "out"), *words]) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_model_is_named(capsys) -> None:
    assert main(["analyze"]) == 2
    assert "ANALYZE" in capsys.readouterr().err.upper()
