"""Workers: processes that share candidates through a ledger, in one folder and without."""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.searching.commands import words
from tests.training.together import environment
from vitreous.cli.main import main
from vitreous.errors import StoppedError
from vitreous.searching import ledger as of_ledger
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.search import SearchResult

IDENTITY = {"space": "a"}
PATIENCE_S = 600
DATABASE = "VITREOUS_TEST_STORAGE"
"""Environment variable with the address of a database that may be written to, such as PostgreSQL."""


def line(genome: tuple[int, ...]) -> Candidate:
    return Candidate(genome=genome, macs=10, params=7, top1=0.5, images=100)


@pytest.fixture(params=["sqlite", "given"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database, and another one where one is given."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'shared.sqlite'}"
    given = os.environ.get(DATABASE, "")
    if not given:
        pytest.skip(f"{DATABASE} names no database")
    return given


@pytest.fixture
def apart(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ledger]]:
    """Ledgers of one search in folders of their own, as on machines that share nothing but the database."""
    monkeypatch.setattr(of_ledger, "ALIVE_S", 1)
    monkeypatch.setattr(of_ledger, "GONE_S", 6)
    name = f"test-{uuid.uuid4().hex}"
    opened: list[Ledger] = []

    def make(folder: str, **changes: Any) -> Ledger:
        opened.append(Ledger(tmp_path / folder, address, IDENTITY, **{"name": name} | changes))
        return opened[-1]

    make.command = (address, name)  # type: ignore[attr-defined]
    yield make
    for each in opened:
        each.close()


def test_apart_two_processes_never_score_the_same_candidate(apart: Callable[..., Ledger]) -> None:
    first, second = apart("a"), apart("b", join=True)
    number = first.claim((1,))
    assert number is not None and second.claim((1,)) is None
    shutil.copytree(first._processes, second._processes, dirs_exist_ok=True)  # as with a copy of the folder
    second._fail_abandoned()
    assert second.claim((1,)) is None
    first.finish(number, line((1,)))
    assert second.candidate((1,)) == line((1,))


def test_apart_a_claim_of_a_killed_process_is_given_up_and_that_of_a_slow_one_is_not(
    apart: Callable[..., Ledger], tmp_path: Path
) -> None:
    address, name = apart.command  # type: ignore[attr-defined]
    code = (
        "import os, sys; from pathlib import Path; from vitreous.searching.ledger import Ledger;"
        f"Ledger(Path(sys.argv[1]), {address!r}, {IDENTITY!r}, name={name!r}).claim((5,));"
        "os.kill(os.getpid(), 9)"
    )
    slow, waiting = apart("slow"), apart("waiting")
    held = slow.claim((7,))
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "killed")])
    assert ended.returncode == -signal.SIGKILL and held is not None
    assert waiting.claim((5,)) is None
    assert next(waiting.wait([(5,), (7,)])) == (5,)
    assert waiting.claim((5,)) is not None and waiting.claim((7,)) is None
    slow.finish(held, line((7,)))
    assert waiting.candidate((7,)) == line((7,))


def test_apart_a_claim_of_a_process_killed_before_its_first_sign_of_life_is_given_up(
    apart: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, waiting = apart("killed"), apart("waiting")
    assert killed._heartbeat is not None
    monkeypatch.setattr(killed._heartbeat, "begin", lambda trial: None)
    assert killed.claim((5,)) is not None and waiting.claim((5,)) is None
    begun = time.monotonic()
    assert next(waiting.wait([(5,)])) == (5,)
    assert time.monotonic() - begun > of_ledger.GONE_S - 1
    assert waiting.claim((5,)) is not None


def test_what_was_given_up_is_not_written_down_when_its_process_comes_back(
    apart: Callable[..., Ledger], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = apart("a"), apart("b")
    number = first.claim((1,))
    assert number is not None
    second.give_up(number)  # as others do after a minute without a sign of life
    first.finish(number, line((1,)))
    assert "gave no sign of life" in caplog.text
    assert first.candidate((1,)) is None and second.claim((1,)) is not None
    first.give_up(number)  # no harm


def test_a_worker_does_not_begin_a_ledger_of_its_own(apart: Callable[..., Ledger]) -> None:
    with pytest.raises(of_ledger.ConfigError, match="holds no search called other"):
        apart("a", name="other", join=True)


SCORING = """
import sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
from vitreous.cli.main import main
from vitreous.searching.score import Scorer
how, mark = sys.argv[1], Path(sys.argv[2])
inner = Scorer.score
def scored(self, genome, *, least=None):
    if how in ("hangs", "tells"):
        mark.touch()
    if how == "hangs":
        time.sleep(1000)
    while how == "waits" and not mark.exists():
        time.sleep(0.02)
    time.sleep(0.2)
    return inner(self, genome, least=least)
Scorer.score = scored
sys.exit(main(sys.argv[3:]))
"""


def start(how: str, mark: Path, command: list[str]) -> subprocess.Popen[str]:
    code = [sys.executable, "-W", "ignore", "-c", SCORING, how, str(mark), *command]
    return subprocess.Popen(
        code, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(process.communicate()[1])
        time.sleep(0.05)


def trials_of(name: str, address: str) -> list[optuna.trial.FrozenTrial]:
    database = optuna.storages.RDBStorage(address)
    trials = optuna.load_study(study_name=name, storage=database).trials
    database.remove_session()
    database.engine.dispose()
    return trials


@pytest.mark.slow
def test_workers_in_the_folder_and_on_a_copy_share_and_one_that_is_killed_loses_nothing(
    address: str, tiny: dict[str, Any], tiny_search: Callable[..., SearchResult], tmp_path: Path
) -> None:
    name = f"shared-{uuid.uuid4().hex}"
    out, copy = tmp_path / name, tmp_path / "elsewhere" / "renamed"
    claimed, shared = tmp_path / "claimed", tmp_path / "shared-by-now"
    more = ("--storage", address)
    # it does not come past its first candidate before the helper has begun
    leader = start("waits", shared, words(tiny["space"], out, *more))
    phase = out / "search.json"
    until(lambda: phase.exists() and json.loads(phase.read_text())["phase"] == "evolution", leader)
    until(lambda: "evolution" in json.loads((out / "plan.json").read_text()), leader)
    doomed = start("hangs", claimed, words(tiny["space"], out, "--worker", *more))
    until(claimed.exists, doomed)
    doomed.kill()
    doomed.communicate()
    shutil.copytree(out, copy)
    helper = start("tells", shared, words(tiny["space"], copy, "--worker", *more))
    _, said = leader.communicate(timeout=PATIENCE_S)
    assert leader.returncode == 0, said
    _, said = helper.communicate(timeout=PATIENCE_S)
    assert helper.returncode == 0, said

    trials = trials_of(f"vitreous-{name}", address)
    state = optuna.trial.TrialState
    done = [each for each in trials if each.state == state.COMPLETE]
    genomes = [each.user_attrs["genome"] for each in done]
    assert len(genomes) == len(set(genomes)) == 12
    assert not [each for each in trials if each.state == state.RUNNING]
    assert len({each.user_attrs["process"] for each in done}) == 2
    lost = [each for each in trials if each.state == state.FAIL and not each.user_attrs.get("line")]
    assert {each.user_attrs["genome"] for each in lost} <= set(genomes)
    hung = {each.user_attrs["process"] for each in lost} - {each.user_attrs["process"] for each in done}
    assert len(hung) == 1

    alone = tiny_search()
    kept = trials_of("search", f"sqlite:///{alone.folder / 'ledger.sqlite'}")
    scores = {each.user_attrs["genome"]: each.values for each in kept}
    assert {each.user_attrs["genome"]: each.values for each in done} == scores
    told = json.loads(phase.read_text())
    assert tuple(told["genome"]) == alone.genome and told["metrics"] == alone.metrics


@pytest.fixture
def begun(
    tiny: dict[str, Any], tiny_search: Callable[..., SearchResult], tmp_path: Path
) -> Callable[[str], list[str]]:
    """A search that was stopped before its first candidate; words of a worker for it."""
    address = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "claim", lambda *_: (_ for _ in ()).throw(StoppedError("enough")))
        with pytest.raises(StoppedError):
            tiny_search(storage=address)
    return lambda out: words(tiny["space"], Path(out), "--worker", "--storage", address)


def test_a_worker_that_cannot_help_says_why(
    begun: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def told(command: list[str]) -> str:
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        (line,) = [each for each in said.splitlines() if each.startswith("vitreous: ")]
        return line

    out = str(tmp_path / "search")
    with monkeypatch.context() as patch:
        known = importlib.metadata.version
        patch.setattr(
            importlib.metadata, "version", lambda name: "9.0" if name == "vitreous" else known(name)
        )
        assert f"the ledger is of another search (vitreous: '{known('vitreous')}' → '9.0')" in told(
            begun(out)
        )
    assert "give a copy of it and the --storage of the search" in told(begun(str(tmp_path / "gone")))
    assert "no process leads a search" in told(begun(out)[:-2])  # without --storage
    assert "evolution.population: 4 → 5" in told([*begun(out), "--evolution.population", "5"])
    early = tmp_path / "early"
    shutil.copytree(out, early)
    (early / "search.json").write_text(json.dumps({"phase": "supernet"}))
    assert "lacks the supernet, and no process leads a search there" in told(begun(str(early)))
    (early / "plan.json").unlink()
    assert "has decided nothing yet" in told(begun(str(early)))
