"""`vitreous convert`: the check is printed, the folder can be used, a mistake is a sentence and its code."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from vitreous import build, config, load, predict
from vitreous.cli.main import main
from vitreous.interop.rename import to_theirs
from vitreous.models.catalog import CATALOG

NAME = "vit_lite_2_4"  # the smallest with released weights


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    described = config(NAME, classes=3)
    names = CATALOG[NAME].names
    assert names is not None
    theirs = to_theirs(build(described).state_dict(), names(described))
    path = tmp_path_factory.mktemp("authors") / "theirs.pth"
    torch.save({"model": theirs, "epoch": 199, "args": argparse.Namespace(lr=1e-3)}, path)
    return path


def ends(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main([str(word) for word in words])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("vitreous: ")
    return code, line


def test_the_check_is_printed_and_the_folder_is_a_model(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(file), "--as", NAME, "--out", str(tmp_path / "model")]) == 0
    lines = capsys.readouterr().out.splitlines()
    weights = len(torch.load(file, weights_only=False)["model"])
    assert lines[0] == f"read         {weights} weights under 'model', beside epoch, args"
    assert lines[1] == f"model        {NAME}, 3 classes, 32×32 pixels"
    parameters = sum(each.numel() for each in build(config(NAME, classes=3)).parameters())
    assert lines[2] == f"parameters   {parameters:,}"
    assert lines[3] == f"names        {weights} matched, 0 left over on either side"
    assert lines[4].startswith("an image     finite logits, up to ")
    assert lines[-1] == str(tmp_path / "model")
    model = load(tmp_path / "model")
    assert model.config == config(NAME, classes=3)
    [answer] = predict(model, [Image.new("RGB", (40, 40))])
    assert answer.label in ("class_0", "class_1", "class_2")


def test_names_of_classes_come_from_a_file_and_the_result_can_be_json(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\n")
    words = ["convert", file, "--as", "ViT-Lite-2/4", "--out", tmp_path / "model"]
    words += ["--classes", tmp_path / "names.txt", "--json"]
    assert main([str(word) for word in words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == NAME and told["classes"] == 3 and told["names_left_over"] == 0
    assert load(told["model_dir"]).classes == ("ant", "bee", "cat")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_every_mistake_has_its_code_and_one_sentence(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", tmp_path / "model"]
    bomb, text, two, full = (tmp_path / name for name in ("bomb.pth", "text.pth", "two.txt", "full"))
    torch.save({"model": Bomb()}, bomb)
    text.write_text("not found")
    two.write_text("ant\nbee\n")
    full.mkdir()
    (full / "thesis.doc").touch()
    for words, code, message in [
        ([file, *out], 2, "convert needs --as NAME; for example: vitreous convert"),
        ([file, "--as", NAME], 2, "convert needs --out FOLDER; for example: vitreous convert"),
        ([], 2, "convert needs AUTHORS_FILE; for example: vitreous convert"),
        ([file, "--az", NAME, *out], 2, "--az is not an option; did you mean --as?"),
        ([file, "--as", "deit_tyni", *out], 2, "did you mean deit_tiny"),
        ([file, "--as", "lsra_mini", *out], 2, "no released weights are known for lsra_mini (source: ours)"),
        ([file, "--as", NAME, "--out", full], 2, "holds something that is not a model"),
        ([file, "--as", NAME, *out, "--classes", two], 2, "2 class names do not fit a model with 3 outputs"),
        ([file, "--as", NAME, *out, "--image-size", "big"], 2, "--image-size is big; pixels such as 32"),
        ([tmp_path / "none.pth", "--as", NAME, *out], 3, "none.pth is not a file"),
        ([text, "--as", NAME, *out], 3, "text.pth is truncated, damaged, or no checkpoint"),
        ([bomb, "--as", NAME, *out], 3, "could run anybody's code: refused"),
        (
            [file, "--as", "deit_tiny", *out],
            5,
            "theirs.pth as deit_tiny: no head.weight to count classes from",
        ),
        ([file, "--as", "vit_lite_4_4", *out], 5, "left over in the model: layers.2."),
    ]:
        ended, line = ends("convert", *words, capsys=capsys)
        assert ended == code and message in line, line
    assert not (tmp_path / "model").exists()
