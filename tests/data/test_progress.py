import io
import sys

import numpy as np
import pytest

from vitreous.data import progress
from vitreous.data.progress import counted
from vitreous.data.threads import in_threads


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_no_bar(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(counted(range(5), 5, "looking")) == list(range(5))
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (60.0, False)])
def test_a_person_sees_a_bar_only_when_it_takes_long(monkeypatch, patience, shown):
    monkeypatch.setattr(progress, "PATIENCE_S", patience)
    monkeypatch.setattr(sys, "stderr", Screen())
    assert list(counted(range(5), 5, "looking")) == list(range(5))
    assert ("looking" in sys.stderr.getvalue()) is shown


def test_threads_keep_the_order_and_hand_on_what_is_raised():
    rows = np.arange(300)
    assert list(in_threads(lambda i: i * i, rows, "squaring")) == [i * i for i in range(300)]

    def fails(i: int) -> int:
        if i == 130:
            raise KeyError(i)
        return i

    with pytest.raises(KeyError, match="130"):
        list(in_threads(fails, rows, "failing"))
