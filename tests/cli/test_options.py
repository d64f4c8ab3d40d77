"""What a user types and what is understood: names, values, files, sources."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from vitreous import ConfigError
from vitreous.cli import train as train_verb
from vitreous.cli.main import VERBS, main
from vitreous.cli.options import Verb, parse
from vitreous.configuration.fields import flat, settings_types
from vitreous.evaluation.settings import EvaluateSettings, PredictSettings
from vitreous.training.settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section.

    Args:
        flip: whether.
        rate: how much.
        pair: two.
    """

    flip: bool | Literal["auto"] = "auto"
    rate: float = 0.5
    pair: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """An example.

    Args:
        data: several.
        epochs: a number of them.
        lr: a rate.
        fresh: anew.
        mode: a word.
        batch_size: a size.
        part: a section.
        as_: a word of Python's own.
    """

    data: list[str] = field(default_factory=list)
    epochs: int | Literal["auto"] = "auto"
    lr: float | Literal["auto"] = "auto"
    fresh: bool = False
    mode: Literal["slow", "fast"] = "slow"
    batch_size: int = 8
    part: Section = field(default_factory=Section)
    as_: str | None = None


VERB = Verb(name="example", settings=Settings, example="vitreous example --data x", config_files=True)


def understood(*words: str) -> Settings:
    return parse(VERB, words).settings


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse(VERB, words)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_nothing_typed_is_the_dataclass_itself() -> None:
    assert understood() == Settings()


@pytest.mark.parametrize("words", [["--batch-size", "4"], ["--batch_size=4"], ["--batch-size=4"]])
def test_hyphens_and_underscores_are_the_same(words: list[str]) -> None:
    assert understood(*words).batch_size == 4


def test_an_option_may_be_a_word_of_pythons_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert understood("--as", "x").as_ == understood("--as=x").as_ == "x"
    assert refused("--az", "x") == "--az is not an option; did you mean --as?"
    with pytest.raises(SystemExit):
        understood("--help")
    assert "--as AS " in capsys.readouterr().out


def test_flags_are_switched_on_and_off() -> None:
    assert understood("--fresh").fresh is True
    assert understood("--no-fresh").fresh is False
    assert understood("--part.flip").part.flip is True
    assert understood("--part.no-flip").part.flip is False
    assert understood("--no-part.flip").part.flip is False
    assert understood("--part.flip", "auto").part.flip == "auto"
    assert understood("--fresh", "false", "--part.flip=true") == Settings(
        fresh=False, part=Section(flip=True)
    )


def test_a_list_takes_all_words_up_to_the_next_option() -> None:
    assert understood("--data", "a", "b c", "--epochs", "3", "--data=d").data == ["a", "b c", "d"]


def test_numbers_are_numbers() -> None:
    assert understood("--lr", "1e-3", "--part.rate", "-1").lr == 0.001
    assert understood("--part.rate", "-0.5").part.rate == -0.5
    for words in (["[0.9, 0.99]"], ["0.9", "0.99"], ["0.9,0.99"]):
        assert understood("--part.pair", *words, "--fresh").part.pair == (0.9, 0.99)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epchs", "3"], "--epchs is not an option; did you mean --epochs?"),
        (["--part.lr", "3"], "--part.lr is not an option; did you mean --lr?"),
        (["--rate", "3"], "--rate is not an option; did you mean --part.rate?"),
        (
            ["--part", "x"],
            "--part is a section and not an option; its options are like --part.flip and --part.rate",
        ),
        (["-x"], "-x is not an option"),
        (["--epochs"], "--epochs needs a value: a whole number or auto"),
        (["--epochs", "--fresh"], "--epochs needs a value: a whole number or auto"),
        (["--epochs", "1.5"], "--epochs is 1.5; a whole number or auto is expected"),
        (["--lr", "abc"], "--lr is abc; a number or auto is expected"),
        (["--mode", "fats"], "--mode is fats; one of slow, fast is expected; did you mean fast?"),
        (["--part.pair", "3"], "--part.pair is [3]; a pair of numbers is expected"),
        (["--data"], "--data needs a value: a list of texts"),
        (["--no-fresh=3"], "--no-fresh takes no value, and was given 3"),
        (["--no-lr"], "--no-lr is not an option; did you mean --lr?"),
        (["stray"], "example: 'stray' is a word too many; for example: vitreous example --data x"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], message: str) -> None:
    assert refused(*words) == message


def written(folder: Path, text: str, name: str = "a.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_files_stand_between_defaults_and_flags_wherever_they_are_named(tmp_path: Path) -> None:
    first = written(tmp_path, "schema_version: 1\nepochs: 3\nlr: 1e-3\npart:\n  rate: 5e-2\nbatch-size: 2\n")
    second = written(tmp_path, "epochs: 4\npart.pair: [3, 4]\n", "b.yaml")
    asked = parse(VERB, ["--batch-size", "9", "-c", first, "--config", second, "--fresh"])
    assert asked.settings == Settings(
        epochs=4, lr=0.001, batch_size=9, fresh=True, part=Section(rate=0.05, pair=(3.0, 4.0))
    )
    assert asked.sources == {
        "epochs": second, "lr": first, "part.rate": first, "part.pair": second,
        "batch_size": "flag", "fresh": "flag",
    }  # fmt: skip


def test_paths_in_a_file_start_at_the_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = written(tmp_path / "folder", "data: [flowers, /absolute, ../other]\n")
    assert understood("-c", path).data == [
        str(tmp_path / "folder" / "flowers"),
        "/absolute",
        str(tmp_path / "folder" / "../other"),
    ]
    for name in ("digits", "torch/cifar10"):
        assert understood("-c", written(tmp_path, f"data: {name}\n")).data == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epchs: 3", "epchs is not a setting; did you mean epochs?"),
        ("part: {lr: 3}", "part.lr is not a setting; did you mean lr?"),
        ("rate: 3", "rate is not a setting; did you mean part.rate?"),
        ("part: 3", "part is a section and holds settings, not 3"),
        ("epochs: abc", "epochs is abc; a whole number or auto is expected"),
        ("epochs: true", "epochs is true; a whole number or auto is expected"),
        ("epochs: null", "epochs is null; a whole number or auto is expected"),
        ("fresh: 1", "fresh is 1; true or false is expected"),
        ("mode: fats", "mode is fats; one of slow, fast is expected; did you mean fast?"),
        ("part: {pair: [1]}", "part.pair is [1]; a pair of numbers is expected"),
        ("- a", "settings as `name: value` are expected, not a list"),
        ("schema_version: 9", "schema_version is 9; this version reads 1"),
    ],
)
def test_a_mistake_in_a_file_names_file_key_value_and_what_is_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    assert refused("-c", path) == f"--config {path}: {message}"


def test_a_file_that_is_missing_or_no_yaml_is_named(tmp_path: Path) -> None:
    assert refused("-c", "nope.yaml") == "--config nope.yaml cannot be read: No such file or directory"
    path = written(tmp_path, "epochs: [1")
    assert re.match(rf"--config {re.escape(path)} is not YAML in line \d: expected", refused("-c", path))


def test_the_printed_config_shows_sources_and_can_be_used_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "epochs: 3\n")
    words = ["train", "-c", path, "--recipe.betas", "[0.8, 0.9]", "--no-recipe.ema", "--data", "a", "b"]
    assert main([*words, "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert re.search(rf"^epochs: 3 +# {re.escape(path)}$", printed, re.MULTILINE)
    assert re.search(r"^  ema: false +# flag$", printed, re.MULTILINE)
    assert re.search(r"^seed: 0 +# default$", printed, re.MULTILINE)
    again = written(tmp_path, printed, "again.yaml")
    expected = flat(parse(train_verb.VERB, words[1:]).settings)
    expected["data"] = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert flat(parse(train_verb.VERB, ["-c", again]).settings) == expected
    assert main([*words, "--print-config", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["epochs"] == 3 and told["sources"]["epochs"] == path


def test_the_help_of_train_shows_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    for plain in (
        "--data DATA … ", "--model MODEL ", "-o, --out OUT ", "--epochs N|auto ", "--time TIME ",
        "--batch-size N|auto ", "--lr X|auto ", "--seed N ",
            "--precision auto|float32|bfloat16|float16|float64 ", "--devices N ", "--sharding ddp|fsdp ",
        "--device DEVICE ", "--image-size ", "--compile, --no-compile ", "--recipe.ema, --recipe.no-ema ",
        "--recipe.betas X X|auto ", "-c, --config RECIPE|FILE … ", "--print-config ", "--json ",
    ):  # fmt: skip
        assert plain in text, plain
    for key in settings_types(TrainSettings):
        assert f"--{key.replace('_', '-')}" in text
    assert "peak learning rate. (default: auto)" in text
    assert "--recipe CONFIG" not in text, "a section is not an option"


@pytest.mark.parametrize("settings", [TrainSettings, EvaluateSettings, PredictSettings])
def test_every_setting_is_explained(settings: type) -> None:
    assert settings.__doc__ is not None
    for key in settings_types(settings):
        if "." not in key:
            assert f"        {key}: " in settings.__doc__


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert "For example: vitreous " in capsys.readouterr().out


def test_the_defaults_of_a_verb_are_those_of_its_dataclass(tmp_path: Path) -> None:
    assert parse(train_verb.VERB, []).settings == train_verb.TrainCommand()
    path = written(tmp_path, yaml.safe_dump({}))
    assert parse(train_verb.VERB, ["-c", path]).settings == train_verb.TrainCommand()
