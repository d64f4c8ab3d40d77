"""`metrics.jsonl` and `metrics.csv`."""

import csv
import json
from datetime import datetime

from vitreous.training.metrics_log import MetricsLog, read_events


def keys(step: int) -> dict[str, float]:
    return {"step": step, "epoch": step / 2, "samples": 8 * step, "wall_s": 0.5 * step}


def test_every_event_is_a_line_with_its_place_in_the_run(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(keys(1), {"train/loss": 2.5})
    log.close()
    (event,) = read_events(tmp_path / "metrics.jsonl")
    assert datetime.fromisoformat(event.pop("time")).utcoffset() is not None
    assert event == {"step": 1, "epoch": 0.5, "samples": 8, "wall_s": 0.5, "train/loss": 2.5}


def test_a_continued_run_cuts_off_what_came_after_its_checkpoint(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(keys(1), {"train/loss": 2.5})
    size = log.sync()
    log.write(keys(2), {"train/loss": 1.0})
    log.close()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "tra')  # killed in the middle of a line
    assert len(read_events(tmp_path / "metrics.jsonl")) == 2
    log = MetricsLog(tmp_path, size=size)
    log.write(keys(2), {"train/loss": 1.5})
    log.close()
    assert [event["train/loss"] for event in read_events(tmp_path / "metrics.jsonl")] == [2.5, 1.5]


def test_the_table_has_a_row_for_each_validation_with_the_training_loss_beside_it(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (1, 2):
        log.write(keys(step), {"train/loss": 2.0 / step})
        log.write(keys(step), {"val/loss": 3.0 / step, "val/top1": 0.1 * step})
    log.write(keys(3), {"train/loss": 0.1})
    log.write_table()
    log.close()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["train/loss"], row["val/loss"]) for row in rows] == [
        ("1", "2.0", "3.0"),
        ("2", "1.0", "1.5"),
    ]


def test_lines_are_plain_json(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(keys(1), {"val/top1": 1 / 3})
    log.close()
    line = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(line)["val/top1"] == 1 / 3
