"""Signals: at once before training, after the step during it, and their exit codes."""

import os
import signal

import pytest

from vitreous.errors import StoppedError
from vitreous.training.interruption import Interruption


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_during_training_waits_for_the_step_and_has_its_exit_code(number: signal.Signals, code: int):
    with Interruption() as interruption, interruption.postponed():
        assert interruption.requested is None
        send(number)
        assert interruption.requested == number
        assert interruption.exit_code == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_signal_before_training_stops_at_once(number: signal.Signals, code: int):
    with pytest.raises(StoppedError) as caught, Interruption():
        send(number)
    assert caught.value.exit_code == code


def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption, interruption.postponed():
        send(signal.SIGINT)
        send(signal.SIGINT)


def test_the_callers_handlers_come_back():
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == before
