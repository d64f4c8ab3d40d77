"""What is shown while a run trains."""

import io
import logging

import pytest
from rich.console import Console

from vitreous.training import progress
from vitreous.training.progress import ProgressLine, clock


def shown(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    monkeypatch.setattr(progress, "LIVE_EVERY_S", 0.0)
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, _environ={"TERM": "xterm"})
    with ProgressLine(total_steps=40, steps_per_epoch=10, batch_size=64, console=console) as line:
        for done in range(1, 5):
            line.step(done, loss=1.4823, lr=6.1e-4, norm=0.92, step_s=0.064, data_s=0.0016)
        line.say("epoch 1/4 is over")
    return text.getvalue()


EXPECTED = ("epoch 0.4/4", "loss 1.482", "lr 6.1e-04", "|g| 0.92", "1,000 img/s", "data 2 %", "0:02 left")


def test_a_terminal_shows_one_live_line_with_everything(monkeypatch):
    text = shown(True, monkeypatch)
    for part in EXPECTED:
        assert part in text


def test_elsewhere_plain_lines_go_to_the_log(monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "vitreous"):
        assert shown(False, monkeypatch) == ""
    assert len(caplog.messages) == 5
    for part in EXPECTED:
        assert part in caplog.messages[3]
    assert caplog.messages[-1] == "epoch 1/4 is over"


def test_plain_lines_come_at_most_every_ten_seconds(caplog):
    with caplog.at_level(logging.INFO, "vitreous"):
        console = Console(file=io.StringIO(), force_terminal=False)
        with ProgressLine(total_steps=40, steps_per_epoch=10, batch_size=64, console=console) as line:
            for done in range(1, 40):
                line.step(done, loss=1.0, lr=1e-3, norm=1.0, step_s=0.01, data_s=0.0)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (42.4, "0:42"), (860, "14:20"), (11100, "3:05:00")]
)
def test_times_read_as_a_clock(seconds: float, text: str):
    assert clock(seconds) == text
