"""Two runs side by side: only what differs, and which of it can move accuracy."""

import json
import shutil

import pytest
import yaml

from vitreous.cli.main import main
from vitreous.errors import ConfigError
from vitreous.runs.difference import diff_runs
from vitreous.runs.listing import list_runs
from vitreous.runs.record import read_run


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """A run folder as a run leaves it, without the training."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    folder.mkdir()
    settings = {"data": ["photos/flowers"], "model": "eit_tiny", "epochs": 40, "lr": 0.001, "seed": 0}
    write(folder, "config.input.yaml", yaml.safe_dump(settings | {"lr": "auto"}))
    write(folder, "config.yaml", yaml.safe_dump(settings | {"recipe": {"mixup": 0.2}, "device": "cpu"}))
    state = {"state": "finished", "start": "2026-11-24T10:00:00+00:00", "git": "a" * 40, "git_dirty": False}
    write(folder, "run.json", json.dumps(state | {"metrics": {"val/top1": 0.8}, "wall_s": 100.0}))
    data = {"fingerprint": "f1", "per_class": {"train": {"rose": 10}}, "mean": [0.5], "std": [0.2]}
    write(folder, "data.json", json.dumps(data))
    write(folder, "env.json", json.dumps({"packages": {"torch": "2.15.0", "vitreous": "0.1"}, "cores": 2}))
    write(folder, "metrics.csv", "step,epoch,wall_s,time,val/top1\n1,20,50,now,0.7\n2,40,99,now,0.8\n")
    return folder


def write(folder, name, text):
    (folder / name).write_text(text)


@pytest.fixture
def other(one_run, tmp_path):
    """A copy with some files changed."""

    def copy(**files):
        folder = shutil.copytree(one_run, tmp_path / "b")
        for name, change in files.items():
            file = next(each for each in folder.iterdir() if each.stem.replace(".", "_") == name)
            values = yaml.safe_load(file.read_text())
            file.write_text(json.dumps(values | change))
        return folder

    return copy


def test_equal_runs_differ_in_nothing(one_run, other):
    compared = diff_runs(one_run, other())
    assert compared.rows == ()
    assert compared.conclusion.endswith("Nothing that was recorded and differs can move accuracy.")


def test_settings_that_move_accuracy_come_first_and_are_in_the_conclusion(one_run, other):
    folder = other(config={"epochs": 100, "device": "cuda", "recipe": {"mixup": 0.0}}, run={
        "metrics": {"val/top1": 0.77}})  # fmt: skip
    compared = diff_runs(one_run, folder)
    assert [row.name for row in compared.rows if row.group == "settings"] == [
        "epochs",
        "recipe.mixup",
        "device",
    ]
    assert compared.conclusion == (
        "val/top1 is 3.00 points lower in the second. "
        "What can move accuracy: epochs 40 → 100; recipe.mixup 0.2 → 0."
    )


def test_other_images_are_told_and_an_equal_fingerprint_in_another_place_is_not(one_run, other):
    moved = diff_runs(one_run, folder := other(config={"data": ["elsewhere/flowers"]}))
    assert "can move accuracy" not in moved.conclusion.replace("differs can move accuracy", "")
    write(folder, "data.json", json.dumps({"fingerprint": "f2"}))
    assert "fingerprint of the data (other images)" in diff_runs(one_run, folder).conclusion


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config": {"seed": 1}}, "The seed differs: --seeds 0..4 tells how much that alone moves."),
        ({"env": {"packages": {"torch": "2.16.0", "vitreous": "0.1"}}}, "By rounding alone, usually within"),
        ({"run": {"git": "b" * 40}}, "What can move accuracy: commit aaaaaaaa → bbbbbbbb."),
    ],
)  # fmt: skip
def test_chance_rounding_and_code_are_told_apart(files, words, one_run, other):
    assert words in diff_runs(one_run, other(**files)).conclusion


def test_a_folder_without_a_run_is_refused_by_name(one_run, tmp_path):
    with pytest.raises(ConfigError, match="gone does not exist"):
        diff_runs(one_run, tmp_path / "gone")


def test_a_run_that_says_it_runs_and_has_no_process_was_killed(other):
    assert read_run(other(run={"state": "running"})).condition == "killed"


def test_a_list_tells_state_best_and_how_far(one_run, capsys):
    (listed,) = list_runs(one_run.parent)
    assert (listed.condition, listed.best, listed.epochs_done, listed.wall_s) == ("finished", 0.8, 40, 100)
    assert main(["runs", "list", str(one_run.parent)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    for part in ("finished", "eit_tiny", "flowers", "80.00 %", "40/40", "1:40", "2026-11-24 10:00"):
        assert part in line


def test_both_commands_give_one_json_object(one_run, other, capsys):
    assert main(["runs", "diff", str(one_run), str(other(config={"lr": 0.1})), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["differences"][0] == {
        "group": "settings", "name": "lr", "a": 0.001, "b": 0.1, "moves": "setting",
    }  # fmt: skip
    assert main(["runs", "list", str(one_run.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["best"] == 0.8
