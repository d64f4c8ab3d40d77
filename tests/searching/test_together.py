"""A search in several processes: their supernet is that of one, and one of them may be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("optuna")

from tests.searching.commands import words
from tests.searching.together_tasks import train_supernet
from tests.training.together import environment, made_once, together
from vitreous.errors import ConfigError
from vitreous.searching.train_supernet import whole_batch
from vitreous.training.checkpoint import list_checkpoints

pytestmark = pytest.mark.slow
EXACT, STEPS = 1e-10, 12
TASKS: dict[str, dict[str, Any]] = {
    "float64": {},
    "float32": {"precision": "float32"},
    "sandwich": {"sandwich": True, "optimizer": "adamw"},
    "norm": {"norm": True},
}
Told = dict[int, dict[str, list[Any]]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Every task in 1 and 2 processes: `told[size][name]` is a list over ranks."""
    return made_once(tmp_path_factory, "supernets", lambda: tell(tmp_path_factory))


def tell(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("together")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITREOUS_HOME", str(folder / "home"))
        found: Told = {1: {}, 2: {}}
        for name, given in TASKS.items():
            found[1][name] = [train_supernet(str(folder / f"{name}1"), STEPS, **given)]
        relay = str(folder / "relay")
        first = train_supernet(relay, STEPS, stop_after=5)
        asked = {
            name: given | {"folder": str(folder / f"{name}2"), "steps": STEPS}
            for name, given in TASKS.items()
        }
        asked["relay"] = {"folder": relay, "steps": STEPS, "stop_after": 4, "told": 1}
        answers = together(
            2, folder / "2", *(("train_supernet", given) for given in asked.values()),
            module="tests.searching.together_tasks",
        )  # fmt: skip
        found[2] = dict(zip(asked, answers, strict=True))
        found[1]["relay"] = [first, train_supernet(relay, STEPS)]
    torch.set_num_threads(threads)
    return found


@pytest.mark.parametrize(
    ("name", "bound"), [("float64", EXACT), ("sandwich", EXACT), ("norm", EXACT), ("float32", 1e-4)]
)
def test_every_loss_is_that_of_one_process_with_the_same_batch(told: Told, name: str, bound: float) -> None:
    alone = told[1][name][0]
    assert len(alone["losses"]) == STEPS and alone["losses"][0] != alone["losses"][-1]
    for shared in told[2][name]:
        assert max(abs(a - b) for a, b in zip(shared["losses"], alone["losses"], strict=True)) < bound
        if bound == EXACT:
            for key, value in alone["weights"].items():
                assert torch.allclose(shared["weights"][key], value, atol=1e-8, rtol=0), key


@pytest.mark.parametrize("name", TASKS)
def test_all_take_the_same_paths_and_weights_beside_them_do_not_move(told: Told, name: str) -> None:
    first, second = told[2][name]
    assert first["paths"] == second["paths"]
    assert [each for each, _ in first["paths"]] == [each for each, _ in told[1][name][0]["paths"]]
    assert len({tuple(each) for each, _ in first["paths"]}) > STEPS // 2
    assert first["paths"][STEPS // 2][1] > 10  # weights that moved
    for each in (first, second, told[1][name][0]):
        assert each["honest"] == [True] * STEPS
    assert all(torch.equal(value, second["weights"][key]) for key, value in first["weights"].items())


def test_one_process_begins_two_go_on_and_one_ends_it(told: Told) -> None:
    first, last = told[1]["relay"]
    both = told[2]["relay"]
    assert "after step 5 of 12" in first["stopped"] and last["stopped"] is None
    for each in both:  # the second was told, and both stopped after the same step
        assert "after step 9 of 12" in each["stopped"]
        losses = first["losses"] + each["losses"] + last["losses"]
        whole = told[1]["float64"][0]["losses"]
        assert max(abs(a - b) for a, b in zip(losses, whole, strict=True)) < EXACT


def test_each_process_scores_paths_of_its_own(told: Told) -> None:
    for name in TASKS:
        assert all(0 <= each["score"] <= 1 for each in told[2][name])
        assert told[1][name][0]["score"] == pytest.approx(told[2][name][0]["score"], abs=0.15)


def test_a_batch_has_to_divide_over_paths_and_processes() -> None:
    assert whole_batch(128, 3, 2) == 126 and whole_batch(4, 3, 2) == 6
    assert whole_batch(126, 3, 2, exact=True) == 126
    with pytest.raises(ConfigError, match=r"does not divide into 6 equal parts.*--batch-size 126 does"):
        whole_batch(128, 3, 2, exact=True)


def process_of_rank(rank: int, launcher: int) -> int:
    """Process id of a rank that a launcher started."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and f"RANK={rank}".encode() in (each / "environ").read_bytes().split(b"\0"):
                return int(each.name)
        except OSError:
            continue
    raise AssertionError(f"no process of rank {rank}")


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes under /proc")
def test_a_killed_process_ends_all_with_a_sentence_and_the_same_command_continues(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "search"
    command = words(tiny["space"], out, "--supernet.save-s", "0.2", "--devices", "2", epochs=60)
    killed = subprocess.Popen(
        [sys.executable, "-m", "vitreous", *command], env=environment(), stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 600
    while not list_checkpoints(out / "supernet" / "checkpoints"):
        if killed.poll() is not None or time.monotonic() > end:
            killed.kill()
            pytest.fail(killed.communicate()[1])
        time.sleep(0.05)
    os.kill(process_of_rank(1, killed.pid), signal.SIGKILL)
    _, said = killed.communicate(timeout=600)
    assert killed.returncode == 75, said
    assert "vitreous: process 1 of 2 was ended by SIGKILL" in said and "the same command continues" in said
    assert "Traceback" not in said
    assert json.loads((out / "search.json").read_text())["phase"] == "supernet"

    again = subprocess.run(
        [sys.executable, "-m", "vitreous", *command], env=environment(), capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [str(out / "model")]
    assert (out / "model" / "model.safetensors").exists()
    told = json.loads((out / "search.json").read_text())
    assert told["phase"] == "finished" and told["metrics"]["search/candidates"] == 12
    run = json.loads((out / "retrained" / "winner-1" / "run.json").read_text())
    assert run["state"] == "finished" and (out / "retrained" / "winner-1" / "debug" / "rank1.log").exists()
