"""Where each setting comes from: defaults, recipes, files, the environment, flags or arguments."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vitreous as vt
from vitreous import ConfigError
from vitreous.cli import train as verb
from vitreous.cli.options import parse
from vitreous.configuration.fields import flat, settings_types
from vitreous.configuration.layers import Layered, layered
from vitreous.training.arguments import settings_from
from vitreous.training.settings import TrainSettings

TYPES = settings_types(TrainSettings)


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainSettings]:
    """What `vitreous.train` would train with."""
    monkeypatch.setattr("vitreous.training.train.train_run", lambda settings: settings)
    return vt.train  # type: ignore[return-value]


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def refused(config: list[str], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        layered("train", TYPES, config, environment or {})
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_order_of_layers_with_the_source_of_each_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: Callable[..., TrainSettings]
) -> None:
    first = written(tmp_path, "a.yaml", "seed: 1\nepochs: 2\nrecipe: {mixup: 0.1, cutmix: 0.1}\n")
    second = written(tmp_path, "b.yaml", "seed: 2\nrecipe: {cutmix: 0.2, erasing: 0.2}\n")
    monkeypatch.setenv("VITREOUS_TRAIN__RECIPE__ERASING", "0.3")
    monkeypatch.setenv("VITREOUS_TRAIN__EVAL_EVERY", "3")
    monkeypatch.setenv("VITREOUS_TRAIN__RECIPE__EMA", "true")
    words = ["-c", first, "-c", "deit_tiny_imagenet", second, "--no-recipe.ema", "--data", "digits"]
    asked = parse(verb.VERB, words)
    found = {
        key: (flat(asked.settings)[key], asked.sources.get(key, "default"))
        for key in (
            "precision", "recipe.drop_path", "model", "epochs", "recipe.mixup", "recipe.cutmix", "seed",
            "recipe.erasing", "eval_every", "recipe.ema", "data",
        )
    }  # fmt: skip
    assert found == {
        "precision": ("auto", "default"),
        "recipe.drop_path": (0.1, "recipe deit_imagenet (base of deit_tiny_imagenet)"),
        "model": ("deit_tiny", "recipe deit_tiny_imagenet"),
        "epochs": (2, first),
        "recipe.mixup": (0.1, first),
        "recipe.cutmix": (0.2, second),
        "seed": (2, second),
        "recipe.erasing": (0.3, "VITREOUS_TRAIN__RECIPE__ERASING"),
        "eval_every": (3, "VITREOUS_TRAIN__EVAL_EVERY"),
        "recipe.ema": (False, "flag"),
        "data": (["digits"], "flag"),
    }
    same = python("digits", config=[first, "deit_tiny_imagenet", second], recipe={"ema": False})
    assert flat(same).items() <= flat(asked.settings).items(), "from Python it is the same"


def test_an_argument_wins_even_where_it_is_the_default(python: Callable[..., TrainSettings]) -> None:
    below = python("digits", config="cct_cifar10")
    assert below.epochs == 310 and below.model == "cct_7_3x1" and below.recipe.drop_path == 0.1
    given = python("digits", "auto", config=["cct_cifar10"], epochs="auto", recipe={"drop_path": 0.0})
    assert given.epochs == given.model == "auto" and given.recipe.drop_path == 0.0
    assert given.recipe.mixup == 0.8, "a section given by some of its fields leaves the others"
    whole = python("digits", config=["cct_cifar10"], recipe=TrainSettings().recipe)
    assert whole.recipe == TrainSettings().recipe, "a section as a value is all of it"


def test_of_two_ways_to_say_one_thing_the_later_counts(
    tmp_path: Path, python: Callable[..., TrainSettings]
) -> None:
    path = written(tmp_path, "a.yaml", "based_on: deit_tiny_imagenet\nrecipe: {warmup: 0.2, final_lr: 0.5}\n")
    asked = parse(verb.VERB, ["-c", path, "--time", "30m", "--lr", "1e-4"])
    recipe = asked.settings.recipe
    assert (asked.settings.epochs, asked.settings.time) == ("auto", "30m")
    assert (asked.settings.lr, recipe.lr_per_512) == (1e-4, None)
    assert (recipe.warmup, recipe.warmup_epochs) == (0.2, None)
    assert (recipe.final_lr, recipe.min_lr) == (0.5, None)
    assert "epochs" not in asked.sources and asked.sources["recipe.warmup"] == path
    same = python("digits", config=path, time="30m", lr=1e-4)
    assert (same.epochs, same.time, same.recipe) == ("auto", "30m", recipe)
    scaled = python("digits", config="cct_cifar10", recipe={"lr_per_512": 1e-3})
    assert (scaled.lr, scaled.recipe.lr_per_512) == ("auto", 1e-3)


def test_settings_as_one_value_leave_nothing_open(
    monkeypatch: pytest.MonkeyPatch, python: Callable[..., TrainSettings]
) -> None:
    monkeypatch.setenv("VITREOUS_TRAIN__EPOCHS", "7")
    settings = TrainSettings(data=["digits"])
    assert python(settings=settings) == settings
    with pytest.raises(ConfigError, match="give either settings or config to train, not both"):
        python(settings=settings, config=["cct_cifar10"])


def test_functions_that_take_trains_arguments_take_its_config() -> None:
    same = settings_from({"data": "digits", "config": "cct_cifar10", "recipe": {"mixup": 0.1}, "epochs": 2})
    assert (same.model, same.epochs, same.recipe.mixup, same.recipe.cutmix) == ("cct_7_3x1", 2, 0.1, 1.0)


def test_data_may_come_from_a_file(tmp_path: Path, python: Callable[..., TrainSettings]) -> None:
    path = written(tmp_path, "a.yaml", "data: flowers\n")
    assert python(config=path).data == [str(tmp_path / "flowers")]
    assert python("digits", config=Path(path)).data == ["digits"]


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("1e-3", "lr", 1e-3),
        ("auto", "lr", "auto"),
        ("32", "image_size", 32),
        ("32x48", "image_size", "32x48"),
        ("123", "out", "123"),
        ("null", "out", None),
        ("false", "recipe.flip", False),
        ("none", "recipe.crop", "none"),
        ("[0.8, 0.9]", "recipe.betas", (0.8, 0.9)),
        ("a b.parquet", "data", ["a b.parquet"]),
        ("[a, b]", "data", ["a", "b"]),
        ("5", "recipe.mix_epochs", 5),
    ],
)
def test_a_variable_is_read_as_the_type_of_its_setting(text: str, key: str, value: Any) -> None:
    name = f"VITREOUS_TRAIN__{key.replace('.', '__').upper()}"
    assert layered("train", TYPES, [], {name: text}) == Layered(values={key: value}, sources={key: name})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("TRAIN__EPCHS", "3", " is not a setting; did you mean VITREOUS_TRAIN__EPOCHS?"),
        ("TRAIN_EPOCHS", "3", " is not a setting; did you mean VITREOUS_TRAIN__EPOCHS?"),
        ("TRIAN__LR", "3", " is not a setting; did you mean VITREOUS_TRAIN__LR?"),
        ("TRAIN__RECIPE__MIXUPP", "3", " is not a setting; did you mean VITREOUS_TRAIN__RECIPE__MIXUP?"),
        ("TRAIN__EPOCHS", "many", " is many; a whole number or auto is expected"),
        ("TRAIN__EPOCHS", "[3", " is '[3', which is not YAML"),
        ("TRAIN__SEED", "null", " is null; a whole number is expected"),
    ],
)
def test_a_mistake_in_a_variable_is_one_sentence(name: str, text: str, message: str) -> None:
    assert refused([], {f"VITREOUS_{name}": text}) == f"environment variable VITREOUS_{name}{message}"


def test_other_variables_are_left_alone() -> None:
    others = {"VITREOUS_HOME": "x", "VITREOUS_RUNS": "x", "VITREOUS_LOG": "debug", "HOME": "x", "A__B": "x"}
    assert layered("train", TYPES, [], others) == Layered(values={}, sources={})


def test_the_value_of_a_secret_is_never_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vitreous.cli.main import main

    monkeypatch.setenv("VITREOUS_TRAIN__DATA", "https://me:secret123@host/set.parquet")
    assert main(["train", "--print-config"]) == 0
    printed = capsys.readouterr().out
    assert "secret123" not in printed and "# VITREOUS_TRAIN__DATA" in printed


def test_an_unknown_recipe_or_key_names_the_nearest(tmp_path: Path) -> None:
    assert refused(["cct_cifar11"]).startswith(
        "--config cct_cifar11: there is no such recipe (vitreous recipes list) and no such file; "
        "did you mean cct_cifar10"
    )
    path = written(tmp_path, "a.yaml", "baesd_on: deit_imagenet\n")
    assert refused([path]) == f"--config {path}: baesd_on is not a setting; did you mean based_on?"
    path = written(tmp_path, "b.yaml", "based_on: deit_imagent\n")
    assert "did you mean deit_imagenet" in refused([path])
    path = written(tmp_path, "c.yaml", "based_on: 3\n")
    assert refused([path]) == (f"--config {path}: based_on is 3; the name of a recipe or a file is expected")


def test_what_a_command_does_beside_training_is_no_setting_of_a_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.yaml", "dry_run: true\n")
    with pytest.raises(ConfigError, match="dry_run is not a setting"):
        parse(verb.VERB, ["-c", path])


def test_a_file_may_differ_from_a_recipe_or_from_a_file_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "base.yaml", "based_on: cct_cifar10\nepochs: 5\nseed: 5\n")
    path = written(tmp_path, "mine.yaml", "based_on: base.yaml\nseed: 6\n")
    found = layered("train", TYPES, [path], {})
    assert (found.values["epochs"], found.values["seed"], found.values["batch_size"]) == (5, 6, 128)
    assert found.sources["seed"] == path
    assert found.sources["epochs"] == f"{tmp_path / 'base.yaml'} (base of {path})"
    assert found.sources["model"] == f"recipe cct_cifar10 (base of {tmp_path / 'base.yaml'})"


def test_files_based_on_each_other_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path, "a.yaml", "based_on: b.yaml\n")
    second = written(tmp_path, "b.yaml", "based_on: a.yaml\n")
    assert refused([first]) == (
        f"--config {first}: {first} is based on {second} is based on {first}, a circle"
    )


def test_a_file_of_the_name_of_a_recipe_is_told_by_its_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "cct_cifar10.yaml", "epochs: 1\n")
    assert layered("train", TYPES, ["cct_cifar10.yaml"], {}).values == {"epochs": 1}
    assert layered("train", TYPES, ["cct_cifar10"], {}).values["epochs"] == 310
