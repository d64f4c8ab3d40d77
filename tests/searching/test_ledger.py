"""The ledger: each candidate once, found again, and refused where it is of another search."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.searching.ledger import Candidate, Ledger, read_genome, spelled

IDENTITY = {"space": "a", "data": "b", "vitreous": "1"}


def line(genome: tuple[int, ...], top1: float | None = 0.5, macs: int = 10) -> Candidate:
    return Candidate(genome=genome, macs=macs, params=7, top1=top1, images=100, seconds=0.25, seed=3)


def test_a_candidate_comes_back_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, None, IDENTITY)
    number = ledger.claim((1, 2, 0))
    assert number is not None and ledger.candidate((1, 2, 0)) is None
    ledger.finish(number, line((1, 2, 0)))
    ledger.close()
    again = Ledger(tmp_path, None, IDENTITY)
    assert again.candidate((1, 2, 0)) == line((1, 2, 0)) and again.all() == [line((1, 2, 0))]
    assert again.claim((1, 2, 0)) is None
    again.close()


def test_two_processes_never_score_the_same_candidate(tmp_path: Path) -> None:
    first, second = Ledger(tmp_path, None, IDENTITY), Ledger(tmp_path, None, IDENTITY)
    number = first.claim((1,))
    assert number is not None and second.claim((1,)) is None
    assert second.claim((2,)) is not None
    first.finish(number, line((1,)))
    assert second.candidate((1,)) == line((1,)) and second.claim((1,)) is None
    first.close()
    second.close()


def test_a_claim_is_given_up_when_its_process_ends_however_it_ends(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from vitreous.searching.ledger import Ledger;"
        f"Ledger(Path(sys.argv[1]), None, {IDENTITY!r}).claim((5,)); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)])
    assert ended.returncode == -9
    ledger = Ledger(tmp_path, None, IDENTITY)
    assert ledger.claim((5,)) is not None
    ledger.close()


def test_waiting_hands_out_what_nobody_scores(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, None, IDENTITY)
    handed = []
    for genome in ledger.wait([(1,), (2,), (3,)]):
        handed.append(genome)
        number = ledger.claim(genome)
        assert number is not None
        ledger.finish(number, line(genome))
    assert handed == [(1,), (2,), (3,)]
    ledger.close()


def test_a_ledger_of_another_search_is_refused_with_the_difference(tmp_path: Path) -> None:
    Ledger(tmp_path, None, IDENTITY).close()
    with pytest.raises(ResumeMismatch, match=r"space: 'a' → 'other'.*--fresh") as caught:
        Ledger(tmp_path, None, IDENTITY | {"space": "other"})
    assert caught.value.exit_code == 2
    with pytest.raises(ResumeMismatch, match="vitreous: '1' → '2'"):
        Ledger(tmp_path, None, IDENTITY | {"vitreous": "2"})


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    for storage in ("sqlite:////nowhere/at/all.sqlite", "nonsense://user:secret-word@host/db"):
        with pytest.raises(ConfigError, match="cannot be used") as caught:
            Ledger(tmp_path, storage, IDENTITY)
        assert "secret-word" not in str(caught.value)
    assert not list((tmp_path / "processes").iterdir())


def test_genomes_are_texts() -> None:
    assert read_genome(spelled((4, 8, 0, 1))) == (4, 8, 0, 1)
    with pytest.raises(ConfigError, match="is no genome"):
        read_genome("4,x")
