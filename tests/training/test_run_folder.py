"""Whose folder it is, what was asked, and who may write there."""

import contextlib
import dataclasses
import logging

import pytest
import yaml

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.training.recipe import Recipe
from vitreous.training.run_folder import differences, open_run_folder, read_state
from vitreous.training.settings import Saving, TrainSettings


def test_a_new_folder_is_made_and_holds_the_settings_as_given(tiny_settings, tmp_path):
    folder = open_run_folder(tiny_settings)
    folder.close()
    assert folder.path == tmp_path / "run"
    assert not folder.continuing
    assert list(differences(folder.path, tiny_settings)) == []


def test_equal_settings_continue_and_others_are_listed(tiny_settings):
    open_run_folder(tiny_settings).close()
    folder = open_run_folder(tiny_settings)
    assert folder.continuing
    folder.close()
    other = dataclasses.replace(tiny_settings, lr=0.5, recipe=Recipe(mixup=0.7, betas=(0.8, 0.9)))
    with pytest.raises(ResumeMismatch) as caught:
        open_run_folder(other)
    for change in ("lr: 'auto' → 0.5", "recipe.mixup: 0.2 → 0.7", "recipe.betas: 'auto' → [0.8, 0.9]"):
        assert change in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_setting_that_came_later_than_the_run_is_its_default(tiny_settings):
    with contextlib.closing(open_run_folder(tiny_settings)) as folder:
        pass
    known = yaml.safe_load((folder.path / "config.input.yaml").read_text())
    del known["recipe"]["clip_norm"]
    (folder.path / "config.input.yaml").write_text(yaml.safe_dump(known))
    assert list(differences(folder.path, tiny_settings)) == []
    changed = dataclasses.replace(tiny_settings, recipe=Recipe(clip_norm=3.0))
    assert list(differences(folder.path, changed)) == ["recipe.clip_norm: 1.0 → 3.0"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("photos/", "auto-photos-"),
        ("photos.tar", "auto-photos-"),
        ("wds:shards/train-{000..099}.tar", "auto-shards-"),
        ("wds:train-*.tar", "auto-shards-"),
        ("hf:owner/name", "auto-name-"),
    ],
)
def test_a_new_folder_is_named_after_model_and_data(data, name):
    folder = open_run_folder(TrainSettings(data=[data]))
    folder.close()
    assert folder.path.name.startswith(name)


def test_settings_that_cannot_change_the_result_may_differ(tiny_settings):
    open_run_folder(tiny_settings).close()
    open_run_folder(dataclasses.replace(tiny_settings, saving=Saving(every_s=1, keep=9))).close()


def test_a_folder_that_holds_something_else_is_refused_and_untouched(tiny_settings, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("three years")
    for fresh in (False, True):
        with pytest.raises(ConfigError, match=r"not a vitreous run \(thesis\.tex\)"):
            open_run_folder(dataclasses.replace(tiny_settings, fresh=fresh))
    assert (tmp_path / "run" / "thesis.tex").read_text() == "three years"
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_refused(tiny_settings, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        open_run_folder(tiny_settings)


def test_fresh_moves_the_earlier_run_aside(tiny_settings, tmp_path):
    open_run_folder(tiny_settings).close()
    (tmp_path / "run" / "train.log").write_text("earlier")
    folder = open_run_folder(dataclasses.replace(tiny_settings, fresh=True))
    folder.close()
    assert not folder.continuing
    (aside,) = [each for each in tmp_path.iterdir() if each.name.startswith("run.")]
    assert (aside / "train.log").read_text() == "earlier"


def test_two_processes_cannot_train_in_one_folder(tiny_settings):
    folder = open_run_folder(tiny_settings)
    with pytest.raises(ConfigError, match="another process is training"):
        open_run_folder(tiny_settings)
    with pytest.raises(ConfigError, match="another process is training"):
        open_run_folder(dataclasses.replace(tiny_settings, fresh=True))
    folder.close()
    open_run_folder(tiny_settings).close()


def test_without_out_the_newest_unfinished_run_with_equal_settings_continues(caplog):
    settings = TrainSettings(data=["photos/flowers"], model="eit_mini")
    first = open_run_folder(settings)
    first.start()
    first.end("interrupted", exit_code=75)
    first.close()
    assert first.path.name.startswith("eit_mini-flowers-")
    other = open_run_folder(dataclasses.replace(settings, seed=1))
    other.start()
    other.close()
    assert other.path != first.path
    with caplog.at_level(logging.INFO, "vitreous"):
        again = open_run_folder(settings)
    assert again.path == first.path
    assert "continuing the newest unfinished run" in caplog.text
    again.end("finished", exit_code=0)
    again.close()
    new = open_run_folder(settings)
    new.close()
    assert new.path not in (first.path, other.path)


def test_secrets_are_in_no_file_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", "abcdef0123456789")
    monkeypatch.setattr("sys.argv", ["vitreous", "train", "--data", "s3://me:hunter2@host/abcdef0123456789"])
    settings = TrainSettings(data=["s3://me:hunter2@host/abcdef0123456789/photos"], out=str(tmp_path / "run"))
    folder = open_run_folder(settings)
    folder.start()
    folder.write_json("env.json", {"variables": {"HUB_TOKEN": "abcdef0123456789"}})
    folder.end("failed", exit_code=3, message="s3://me:hunter2@host is not there")
    folder.close()
    for file in folder.path.iterdir():
        assert "hunter2" not in file.read_text(), file
        assert "abcdef0123456789" not in file.read_text(), file
    again = open_run_folder(settings)  # compared as recorded, so hiding does not part it from itself
    again.close()
    assert again.continuing


def test_the_state_is_empty_where_nothing_was_written(tmp_path):
    assert read_state(tmp_path) == {}
    (tmp_path / "run.json").write_text('{"state": "runn')
    assert read_state(tmp_path) == {}


def test_a_discarded_new_folder_is_gone_and_an_existing_one_stays_empty(tiny_settings, tmp_path):
    folder = open_run_folder(tiny_settings)
    folder.discard()
    folder.close()
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    folder = open_run_folder(tiny_settings)
    folder.discard()
    folder.close()
    assert list((tmp_path / "run").iterdir()) == []
