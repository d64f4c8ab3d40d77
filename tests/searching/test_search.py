"""A whole search on digits: what it leaves, that it goes on where it was killed, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("optuna")

from tests.searching.spaces import tiny_psvit
from vitreous.cli.main import main
from vitreous.errors import ResumeMismatch, StoppedError
from vitreous.interop.model_folder import load
from vitreous.parts import ConvGroupStem
from vitreous.searching.deliver import delivered
from vitreous.searching.evolve import Proposal
from vitreous.searching.folder import SearchFolder
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.look import Looking
from vitreous.searching.score import Score
from vitreous.searching.search import SearchResult, search
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space
from vitreous.training.interruption import Interruption

ROOT = Path(__file__).parents[2]
Run = Callable[..., SearchResult]


def ledger_lines(folder: Path) -> list[Candidate]:
    identity = {"any": 0}
    opened = Ledger.__new__(Ledger)
    import optuna

    opened._study = optuna.load_study(study_name="search", storage=f"sqlite:///{folder / 'ledger.sqlite'}")
    opened._optuna, opened._known, opened._seen = optuna, {}, set()
    assert identity
    return [replace(each, seconds=0.0) for each in opened.all()]


def test_a_search_leaves_a_model_a_report_and_a_ledger_that_makes_every_candidate_again(
    tiny_search: Run, tmp_path: Path
) -> None:
    limit = tiny_psvit(depth=6).range_of("macs")[0] * 12 // 10
    result = tiny_search(budget=f"macs={limit}", compare=True)
    space = Space.from_json(json.loads((result.folder / "space.json").read_text()))
    model = load(result.model_dir)
    assert model.config == space.resolve(result.genome)
    assert result.metrics["model/macs"] == space.cost(result.genome)[0] <= limit
    lines = ledger_lines(result.folder)
    assert len(lines) == len({each.genome for each in lines}) >= result.metrics["search/candidates"] == 12
    for each in lines:
        assert space.canonical(each.genome) == each.genome
        assert space.cost(each.genome) == (each.macs, each.params) and each.macs <= limit
        assert each.seed == 0 and each.images > 0
    report = json.loads((result.folder / "report.json").read_text())
    assert [each["what"] for each in report["retrained"]] == ["winner 1", "random search", "plain ViT"]
    strongest = max(report["retrained"][1:], key=lambda each: each["top1"])
    assert report["verdict"] == result.verdict and f"beside the {strongest['what']}," in result.verdict
    assert {"preparation", "supernet", "evolution", "retraining"} == set(report["seconds"])
    assert (result.folder / "pareto.png").stat().st_size > 5000
    text = (result.folder / "report.md").read_text()
    assert "layers.5" in text and "they\nare no results" in text
    first = (result.folder / "split.csv").read_bytes()
    assert (result.folder / "retrained" / "winner-1" / "split.csv").read_bytes() == first
    assert tiny_search(budget=f"macs={limit}", compare=True).genome == result.genome


def test_the_space_of_hybrids_is_held_against_a_hybrid_and_a_plain_vit_within_the_budget(
    tiny_search: Run,
) -> None:
    limit = 2_000_000
    result = tiny_search(space="hybrid_small_image", image_size=16, budget=f"macs={limit}", compare=True)
    report = json.loads((result.folder / "report.json").read_text())
    found = {each["what"]: each for each in report["retrained"]}
    assert set(found) == {"winner 1", "random search", "preset", "plain ViT"}
    assert all(each["macs"] <= limit for each in found.values())
    plain, preset = (load(result.folder / "retrained" / each) for each in ("plain-ViT", "preset"))
    assert len(plain.config.layers) == 12 and isinstance(preset.config.stem, ConvGroupStem)


def test_a_search_for_a_front_retrains_along_it(tiny: dict[str, Any], tiny_search: Run) -> None:
    result = tiny_search(evolution=tiny["evolution"] | {"method": "nsga2"}, winners=2)
    report = json.loads((result.folder / "report.json").read_text())
    points = [(each["top1"], each["macs"]) for each in report["front"]]
    lines = ledger_lines(result.folder)
    assert len(lines) == 12 and not any(each.stopped for each in lines)
    for each in lines:
        assert any(top1 >= (each.top1 or 0) and macs <= each.macs for top1, macs in points)
    winners = {each["what"]: each["candidate"] for each in report["retrained"]}
    assert winners["winner 1"]["top1"] == max(top1 for top1, _ in points)
    assert all([each["top1"], each["macs"]] in [list(it) for it in points] for each in winners.values())
    assert len(winners) == min(2, len(points))


KILLED = """
import json, os, sys
import torch
torch.set_num_threads(1)
from vitreous.searching import ledger, report, train_supernet
from vitreous.searching.search import search
from vitreous.training import loop
arguments, where = json.loads(sys.argv[1]), sys.argv[2]
left, owner, name = {
    "supernet": (5, train_supernet.SupernetTraining, "_take"),
    "evolution": (5, ledger.Ledger, "finish"),
    "retraining": (3, loop.Loop, "_move"),
    "report": (1, report, "_draw_front"),
}[where]
inner, left = getattr(owner, name), [left]
def killing(*given, **named):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), 9)
    return inner(*given, **named)
setattr(owner, name, killing)
search(**arguments)
"""


@pytest.mark.slow
def test_after_kill_nine_in_any_phase_the_same_command_ends_with_the_same_bits(
    tiny: dict[str, Any], tiny_search: Run, tmp_path: Path
) -> None:
    whole = tiny_search()
    out = tmp_path / "killed"
    arguments = tiny | {"out": str(out), "supernet": tiny["supernet"] | {"save_s": 0.0}}
    for where in ("supernet", "evolution", "retraining", "report"):
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", KILLED, json.dumps(arguments), where],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])},
            capture_output=True,
        )
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-2000:]
        if where == "evolution":
            assert 0 < len(ledger_lines(out)) < 12
        assert (out / "retrained").exists() == (where in ("retraining", "report"))
        assert not (out / "model").exists()
    again = search(**arguments)
    assert again.genome == whole.genome and again.metrics == whole.metrics
    assert ledger_lines(again.folder) == ledger_lines(whole.folder)
    first, second = load(whole.model_dir).state_dict(), load(again.model_dir).state_dict()
    assert all(torch.equal(each, second[name]) for name, each in first.items())
    assert search(**arguments) == again  # finished: nothing is done again


def test_a_model_is_delivered_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, model = tmp_path / "trained", tmp_path / "model"
    trained.mkdir()
    (trained / "config.json").write_text("{}")

    def half(source: Path, to: Path) -> None:
        to.mkdir()
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("vitreous.searching.deliver.shutil.copytree", half)
        with pytest.raises(OSError, match="killed"):
            delivered(trained, model)
    assert not model.exists()
    for _ in range(2):
        delivered(trained, model)
        assert [each.name for each in model.iterdir()] == ["config.json"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model", "trained"]


class SlowScorer:
    """Scores by the genome alone, slowly enough for two to work beside each other."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def score(self, genome: tuple[int, ...], *, least: float | None = None) -> Score:
        import time

        self.asked.append(genome)
        time.sleep(0.05)
        return Score(hash(genome) % 100 / 100, 10, False, 0.05)


def test_two_workers_share_a_generation_and_score_nothing_twice(tmp_path: Path) -> None:
    space = tiny_psvit(depth=6)
    genomes = [genome for genome, _, _ in space.all()][:12]
    proposals = [Proposal(each, 0, "random") for each in genomes]
    scorers = [SlowScorer(), SlowScorer()]
    told: dict[int, list[Candidate]] = {}
    Ledger(tmp_path, None, {"space": "tiny"}).close()

    def work(number: int) -> None:
        ledger = Ledger(tmp_path, None, {"space": "tiny"})
        from vitreous.searching.budget import Budget

        looking = Looking(
            SearchSettings(), Budget(), space, scorers[number], None, ledger, Interruption()  # type: ignore
        )  # fmt: skip
        told[number] = looking.evaluate(proposals, None)
        ledger.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    asked = [genome for scorer in scorers for genome in scorer.asked]
    assert sorted(asked) == sorted(genomes)
    assert min(len(scorer.asked) for scorer in scorers) >= 2
    assert told[0] == told[1] and [each.genome for each in told[0]] == genomes


def test_a_search_is_stopped_between_candidates_and_goes_on(
    tiny_search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, left = Ledger.finish, [3]

    def stopping(self: Ledger, number: int, candidate: Candidate) -> None:
        finish(self, number, candidate)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Ledger, "finish", stopping)
    sandwich = {"supernet": {"epochs": 1, "sandwich": True}}
    with pytest.raises(StoppedError, match="between two candidates") as caught:
        tiny_search(**sandwich)
    assert caught.value.exit_code == 75
    assert tiny_search(**sandwich).metrics["search/candidates"] == 12


def test_other_data_or_another_space_are_refused_in_the_same_folder(
    tiny: dict[str, Any], tiny_search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "claim", lambda *_: (_ for _ in ()).throw(StoppedError("enough")))
    with pytest.raises(StoppedError):
        tiny_search()
    with pytest.raises(ResumeMismatch, match=r"budget: '' → 'macs=1G'.*--fresh"):
        tiny_search(budget="macs=1G")
    file = Path(tiny["space"])
    file.write_text(json.dumps(tiny_psvit(depth=5).to_json()))
    with pytest.raises(ResumeMismatch, match="is not what it was"):
        tiny_search()


def test_what_a_search_is_worth_can_be_asked_afterwards(
    tiny: dict[str, Any], tiny_search: Run, tmp_path: Path
) -> None:
    first = tiny_search()
    trained = (first.folder / "supernet" / "metrics.jsonl").read_bytes()
    more = {"correlate": 8, "correlate_epochs": 1}
    later = tiny_search(compare=True, **more)
    assert later.genome == first.genome
    assert (first.folder / "supernet" / "metrics.jsonl").read_bytes() == trained
    at_once = tiny_search(compare=True, **more, out=str(tmp_path / "at-once"))
    reports = [json.loads((each.folder / "report.json").read_text()) for each in (later, at_once)]
    assert "correlation" in reports[0]["seconds"]
    for report in reports:
        for network in report["retrained"]:
            if network["candidate"]:
                del network["candidate"]["seconds"]
    for key in ("retrained", "worth", "verdict", "looked_at"):
        assert reports[0][key] == reports[1][key], key
    with pytest.raises(ResumeMismatch, match="compare: True → False"):
        tiny_search(**more)
    with pytest.raises(ResumeMismatch, match="correlate: 8 → 9"):
        tiny_search(compare=True, correlate=9, correlate_epochs=1)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "search needs images"),
        (["--data", "digits", "--space", "psvit_2d_tinny"], 2, "did you mean psvit_2d_tiny"),
        (["--data", "digits", "--budget", "mac=1"], 2, "did you mean macs"),
        (["--data", "digits", "--correlate", "3"], 2, "8 or more works"),
        (
            ["--data", "digits", "--space", "psvit_2d_small_image", "--budget", "macs=1k"],
            6,
            "the cheapest has",
        ),
        (["--data", "nowhere", "--budget", "macs=1G"], 3, "does not exist"),
        (["--data", "digits", "--time", "1h", "--retrain-epochs", "3"], 2, "both say how long"),
        (["--data", "digits", "--worker", "--out", "gone"], 2, "holds no search to help with"),
        (["--data", "digits", "--evolution.population", "10"], 2, "do not fit into a population of 10"),
    ],
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    words: Sequence[str], code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["search", *words]) == code
    told = capsys.readouterr().err
    assert message in told and "Traceback" not in told
    assert not list(tmp_path.iterdir())


def test_a_space_without_choices_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plain.py"
    file.write_text(
        "import vitreous as vt\ndef space(image, classes): return vt.config('eit_digits', classes=classes)\n"
    )
    assert main(["search", "--data", "digits", "--space", str(file)]) == 2
    assert "holds no choices" in capsys.readouterr().err


def test_passwords_are_not_written_into_the_folder(tmp_path: Path) -> None:
    settings = SearchSettings(
        data=["digits"], out=str(tmp_path / "s"), storage="postgresql://me:secret-word@host/db"
    )
    folder = SearchFolder(settings)
    folder.close()
    assert "secret-word" not in (tmp_path / "s" / "config.input.yaml").read_text()


def test_two_leaders_of_one_folder_are_refused(tmp_path: Path) -> None:
    from vitreous.errors import ConfigError

    settings = SearchSettings(data=["digits"], out=str(tmp_path / "s"))
    first = SearchFolder(settings)
    with pytest.raises(ConfigError, match="another process leads this search; --worker helps it"):
        SearchFolder(settings)
    first.close()


def test_a_missing_optuna_is_told(tiny_search: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from vitreous.errors import ConfigError

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"pip install 'vitreous\[search\]'"):
        Ledger(tmp_path, None, {})
