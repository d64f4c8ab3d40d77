"""Runs over images that cannot all be read."""

import json

import pytest

from tests.data.packed import CLASSES, photos, sharded
from tests.training.together import together
from vitreous.errors import StoppedError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.training.loop import Loop
from vitreous.training.train import train


@pytest.fixture
def arguments(tmp_path, tiny):
    """Of a tiny run over shards of which three training images are none; only a few are looked at before."""
    folder = photos(tmp_path / "photos")
    files = sorted((folder / "train").rglob("*.png"))
    for number in (4, 5, 23):
        files[number].write_bytes(b"no pixels")
    data = [
        sharded(folder / split, str(tmp_path / "shards" / (split + "-{:03}.tar")), 3, names=tuple(CLASSES))
        for split in ("train", "val")
    ]
    model = json.dumps(to_json(config("eit_digits", image_size=8, classes=3, width=16, depth=2, heads=2)))
    loading = {"look": 2, "skip_unreadable": True, "path": "streaming", "workers": 0}
    changes = {"data": data, "model": model, "batch_size": 6, "epochs": 3, "seed": 1, "loading": loading}
    return tiny | changes


@pytest.fixture
def run(tmp_path, arguments):
    return lambda out: train(**arguments | {"out": tmp_path / out})


def events(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clocks = ("time", "perf", "wall_s")
    return [{key: value for key, value in line.items() if not key.startswith(clocks)} for line in lines]


def test_a_continued_run_replaces_and_counts_unreadable_images_as_the_whole_one(tmp_path, run, monkeypatch):
    run("whole")
    move = Loop._move

    def stopping(self, shown):
        if self.step == 5:
            self.interruption.requested = 15
        return move(self, shown)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_move", stopping)
        with pytest.raises(StoppedError):
            run("parts")
    run("parts")
    assert events(tmp_path / "parts") == events(tmp_path / "whole")
    assert [event["data/unreadable"] for event in events(tmp_path / "whole") if "train/loss" in event][
        -1
    ] == 3
    log = (tmp_path / "whole" / "train.log").read_text()
    assert log.count("train-002.tar, key 0007: cannot be read as an image") == 1
    weights = [(tmp_path / out / "model" / "model.safetensors").read_bytes() for out in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_two_processes_replace_and_count_what_one_does(tmp_path, run, arguments):
    arguments["recipe"] = {"dropout": 0.0, "drop_path": 0.0}  # drawn for each process
    run("alone")
    together(2, tmp_path / "processes", ("run", arguments | {"out": str(tmp_path / "two")}))
    alone, two = (
        [event for event in events(tmp_path / out) if "train/loss" in event] for out in ("alone", "two")
    )
    assert [event["data/unreadable"] for event in two] == [event["data/unreadable"] for event in alone]
    for one, other in zip(alone, two, strict=True):
        assert other["train/loss"] == pytest.approx(one["train/loss"], rel=1e-4)
