"""`vitreous recipes` as a person types it."""

import json
from pathlib import Path

import pytest

from vitreous.cli import train as train_verb
from vitreous.cli.main import main
from vitreous.cli.options import parse
from vitreous.recipes.shipped import recipe_names


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["recipes", *words]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["recipes", *words]) == 2
    return capsys.readouterr().err.strip().removeprefix("vitreous: ")


def test_the_list_has_a_line_for_each_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert lines[0].split() == ["name", "source", "data", "model", "expected"]
    assert [line.split()[0] for line in lines[1 : len(recipe_names()) + 1]] == recipe_names()
    assert any(
        line.split() == ["cct_cifar10", "paper", "CIFAR-10", "cct_7_3x1", "96.034", "top-1"] for line in lines
    )
    listed = json.loads(printed(capsys, "list", "*cifar10", "--json"))["recipes"]
    assert {each["name"] for each in listed} == {n for n in recipe_names() if n.endswith("cifar10")}
    assert set(listed[0]) == {"name", "title", "source", "paper", "data", "model", "expected"}


def test_show_prints_a_file_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "cct_cifar10")
    assert text.startswith("# CCT-7/3x1 on CIFAR-10\n# Paper:    Hassani")
    assert "\n# Based on: compact_cifar10; values of those say so\n" in text
    assert "\n  mixup: 0.8  # compact_cifar10: mixup\n" in text
    told = json.loads(printed(capsys, "show", "cct_cifar10", "--json"))
    assert told["settings"]["recipe.mixup"] == 0.8 and told["based_on"] == ["compact_cifar10"]
    assert told["sources"]["recipe.mixup"] == {"recipe": "compact_cifar10", "source": "mixup"}


def test_a_copy_is_the_recipe_and_never_takes_the_place_of_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "mine.yaml"
    assert printed(capsys, "copy", "eit_mini_imagenet", str(file)).strip() == str(file)
    assert parse(train_verb.VERB, ["-c", str(file)]).settings == (
        parse(train_verb.VERB, ["-c", "eit_mini_imagenet"]).settings
    )
    before = file.read_text()
    message = refused(capsys, "copy", "cct_cifar10", str(file))
    assert message == f"recipes copy: {file}: give a file that does not exist, in a folder that does"
    assert file.read_text() == before
    assert "does not end in .yaml" in refused(capsys, "copy", "cct_cifar10", str(tmp_path / "mine"))


def test_an_unknown_name_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "show", "cct_cifar1").startswith(
        "recipes show: there is no recipe cct_cifar1; did you mean cct_cifar1"
    )
    assert refused(capsys, "shw").endswith("did you mean show?")
    assert refused(capsys, "list", "*imagnet*").startswith("recipes list: no recipe matches *imagnet*")
    assert refused(capsys, "copy", "cct_cifar10") == (
        "recipes copy needs FILE; for example: vitreous recipes copy cct_cifar10 mine.yaml"
    )


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "schema"))["title"] == "vitreous train"
