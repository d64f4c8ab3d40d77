"""A set of seeds: separate runs, continued where it stopped, told as mean ± standard deviation (n)."""

import json
import statistics

import pytest

from vitreous.cli.main import main
from vitreous.errors import ConfigError, DataError, ResumeMismatch, StoppedError
from vitreous.runs.difference import diff_runs
from vitreous.runs.listing import ListedSet, list_runs
from vitreous.runs.reference_curve import reference_curve
from vitreous.runs.seeds import evaluate_seeds, parse_seeds, spread, train_seeds
from vitreous.training.step import TrainStep


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0..4", (0, 1, 2, 3, 4)), ("0,3,7", (0, 3, 7)), ("5", (5,)), ("0..2,7", (0, 1, 2, 7))],
)
def test_seeds_are_a_range_a_list_or_both(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "0..", "3..1", "1,1", "0..2,2"])
def test_seeds_that_cannot_be_read_are_refused_with_what_works(text):
    with pytest.raises(ConfigError, match=r"0\.\.4"):
        parse_seeds(text)


def test_a_spread_has_the_sample_deviation_and_one_value_has_none():
    found = spread([0.5, 0.6, 0.7])
    assert [found.mean, found.sd] == pytest.approx([0.6, 0.1]) and found.n == 3
    assert found.percent() == "60.00 ± 10.00 % (n = 3)"
    assert spread([0.5]).sd is None and spread([0.5]).percent() == "50.00 % (n = 1)"


def test_a_set_goes_on_where_it_stopped_and_reports_mean_deviation_and_n(
    tiny, tiny_run, tmp_path, monkeypatch, capsys
):
    """One story, since every part of it needs trained runs."""
    arguments = tiny | {"out": str(tmp_path / "set"), "epochs": 1}
    alone = tiny_run(epochs=1, seed=1, out=str(tmp_path / "alone"))
    original = TrainStep.backward

    def stop_in_the_second(self, shown, step):
        if self._seed == 1 and step == 3:
            raise StoppedError("told to stop", 75)
        return original(self, shown, step)

    with monkeypatch.context() as patch, pytest.raises(StoppedError) as stopped:
        patch.setattr(TrainStep, "backward", stop_in_the_second)
        train_seeds("0..1", **arguments)
    assert stopped.value.exit_code == 75
    first = (tmp_path / "set" / "seed-0" / "model" / "model.safetensors").stat().st_mtime_ns
    assert json.loads((tmp_path / "set" / "seeds.json").read_text())["state"] == "unfinished"

    result = train_seeds("0..1", **arguments)
    assert (tmp_path / "set" / "seed-0" / "model" / "model.safetensors").stat().st_mtime_ns == first
    weights = [each.model_dir / "model.safetensors" for each in (alone, result.runs[1])]
    assert weights[0].read_bytes() == weights[1].read_bytes(), "a run of a set is a run as any other"
    values = [each.metrics["val/top1"] for each in result.runs.values()]
    found = result.metrics["val/top1"]
    assert found.mean == pytest.approx(statistics.mean(values)) and found.n == 2
    assert found.sd == pytest.approx(statistics.stdev(values))
    told = json.loads((tmp_path / "set" / "seeds.json").read_text())
    assert told["state"] == "finished" and told["metrics"]["val/top1"]["values"] == values

    with pytest.raises(ResumeMismatch, match=r"set of runs with other settings \(lr: 0\.005 → 0\.1\)"):
        train_seeds("0..1", **arguments | {"lr": 0.1})

    listed = list_runs(tmp_path)
    (as_set,) = (each for each in listed if isinstance(each, ListedSet))
    assert len(listed) == 2 and as_set.condition == "finished" and as_set.best.n == 2
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert "(n = 2)" in (out := capsys.readouterr().out) and "seed-1" in out

    compared = diff_runs(tmp_path / "set", tmp_path / "alone")
    assert "seed" not in {row.name for row in compared.rows if row.group == "settings"}

    _, over = evaluate_seeds(tmp_path / "set")
    assert over["val/top1"].mean == pytest.approx(found.mean, abs=1e-6) and over["val/top1"].n == 2

    curve = reference_curve([tmp_path / "set"], name="tiny")
    assert len(curve.points) == 1 and curve.conditions["epochs"] == 1
    epoch, value, low, high = curve.points[0]
    assert epoch == 1 and low <= value <= high and "over 2 seeds" in curve.band


def test_a_mistake_in_the_first_run_leaves_no_folder(tiny, tmp_path):
    with pytest.raises(DataError):
        train_seeds("0..1", **tiny | {"data": str(tmp_path / "gone"), "out": str(tmp_path / "set")})
    assert not (tmp_path / "set").exists()


def test_a_folder_that_holds_something_else_is_refused_for_a_set(tiny, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("ten years of work")
    with pytest.raises(ConfigError, match="is not a set of seeds"):
        train_seeds([0, 1], **tiny | {"out": str(tmp_path / "thesis")})


def test_a_dry_run_of_a_set_is_refused_with_what_to_leave_out(capsys):
    assert main(["train", "--data", "digits", "--dry-run", "--seeds", "0..1"]) == 2
    assert "leave --seeds out" in capsys.readouterr().err


def test_a_seed_beside_seeds_is_refused(capsys):
    assert main(["train", "--data", "digits", "--seed", "3", "--seeds", "0..1"]) == 2
    assert "--seed and --seeds both say which seeds" in capsys.readouterr().err
