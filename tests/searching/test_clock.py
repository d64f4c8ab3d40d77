"""`--time`: shared among the phases, measured costs taken off, too little refused."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from vitreous.cli.main import main
from vitreous.searching import clock
from vitreous.searching.budget import BudgetError
from vitreous.searching.clock import Clock
from vitreous.searching.folder import SearchFolder
from vitreous.searching.least_time import FEWEST, Pace, check_time, least_s
from vitreous.searching.settings import SearchSettings


class Now:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 1000.0

    def perf_counter(self) -> float:
        return self.s


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    made = Now()
    monkeypatch.setattr(clock, "time", made)
    return made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], SearchFolder]]:
    settings, made = SearchSettings(data=["digits"], out=str(tmp_path / "s")), []

    def again() -> SearchFolder:
        made.append(SearchFolder(settings))
        return made[-1]

    yield again
    for each in made:
        each.close()


def test_what_was_spent_and_what_the_report_needs_are_not_left(
    now: Now, opened: Callable[[], SearchFolder]
) -> None:
    one = Clock(opened(), "100s", 990.0)
    assert one.left_s == 90 - clock.REPORT_S
    one.prepared()
    with one.phase("supernet"):
        now.s += 40
    assert one.left_s == 50 - clock.REPORT_S
    assert one.seconds == {"preparation": 10.0, "supernet": 40.0}


def test_a_search_that_goes_on_counts_earlier_processes_and_no_pause(
    now: Now, opened: Callable[[], SearchFolder]
) -> None:
    folder = opened()
    first = Clock(folder, "100s")
    first.prepared()
    with first.phase("supernet"):
        now.s += 40
    first.plan(20)
    folder.close()
    now.s += 5000
    again = Clock(opened(), "100s")
    assert again.spent_s == 60.0  # killed in what was to take 20 s: they are gone
    now.s += 30
    assert again.spent_s == 70.0


def test_a_phase_that_fails_is_not_counted(now: Now, opened: Callable[[], SearchFolder]) -> None:
    one = Clock(opened(), None)
    with pytest.raises(KeyError), one.phase("evolution"):
        now.s += 40
        raise KeyError
    assert one.seconds == {}


@pytest.mark.parametrize(
    ("pace", "least"),
    [
        (Pace(pass_s=60.0, candidate_s=0.1, networks=0), 60.0),
        (Pace(pass_s=0.0, candidate_s=1.0, networks=0), FEWEST / 0.2),
        (Pace(pass_s=0.0, candidate_s=1.0, networks=0, compare=True), 2 * FEWEST / 0.2),
        (Pace(pass_s=10.0, candidate_s=0.1, networks=2), 2 * 9.0 / 0.3),
        (Pace(pass_s=10.0, candidate_s=0.1, networks=0, correlate=8), 8 * 9.0 / 0.2),
    ],
)
def test_the_least_time_is_that_of_the_phase_that_needs_most(pace: Pace, least: float) -> None:
    assert least_s(pace) == pytest.approx(least)


def test_too_short_a_time_is_refused_with_one_that_works(
    now: Now, opened: Callable[[], SearchFolder]
) -> None:
    pace, later = Pace(pass_s=10.0, candidate_s=0.5, networks=2), opened()
    with pytest.raises(
        BudgetError, match=r"--time 30s is too short.*take 60 s more.*--time 115s works"
    ) as told:
        check_time(Clock(later, "30s", 960.0), pace, "30s")
    assert told.value.exit_code == 6
    check_time(Clock(later, "115s", 960.0), pace, "115s")


def test_the_command_refuses_a_time_that_is_too_short_and_leaves_nothing(
    tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", "digits", "--loading.limit", "120", "--space", tiny["space"], "--out", tiny["out"]]
    assert main(["search", *words, "--time", "1s"]) == 6
    told = capsys.readouterr().err
    assert "--time 1s is too short" in told and re.search(r"--time \d+[smh] works$", told.rstrip())
    assert not Path(tiny["out"]).exists()


@pytest.mark.quiet
@pytest.mark.slow
def test_a_search_ends_within_its_time(tiny: dict[str, Any], tiny_search: Callable[..., Any]) -> None:
    from time import perf_counter

    begun = perf_counter()
    found = tiny_search(time="40s", retrain_epochs="auto", supernet={}, evolution={}, winners=2, begun=begun)
    taken = perf_counter() - begun
    assert 0.8 * 40 < taken < 1.05 * 40  # what the report and two runs keep for their ends is a fifth of it
    report = json.loads((found.folder / "report.json").read_text())
    assert sum(report["seconds"].values()) < taken
