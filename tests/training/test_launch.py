"""`devices` and torchrun: signals, kills and mistakes in processes that a launcher started."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.together import environment, free_port
from vitreous.errors import ConfigError, DataError, LostProcessError, StoppedError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.training.checkpoint import list_checkpoints
from vitreous.training.launch import _first_error
from vitreous.training.train import train

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes under /proc")
PATIENCE_S = 120


def words(out: Path, model: Path, data: str = "digits") -> list[str]:
    return [
        "train", "--data", data, "--model", str(model), "--out", str(out), "--epochs", "100",
        "--batch-size", "16", "--lr", "1e-3", "--precision", "float32", "--device", "cpu", "--no-compile",
        "--saving.every-s", "0.2", "--loading.limit", "96", "--eval-every", "100",
    ]  # fmt: skip


def start(*command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", *command], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def wait_for_checkpoint(started: subprocess.Popen, out: Path, after: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert started.poll() is None, started.communicate()[1]
        steps = [int(each.name[5:]) for each in list_checkpoints(out / "checkpoints")]
        if steps and max(steps) > after:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint was written")


def process_of_rank(rank: int, out: Path) -> int:
    """Process id of a rank whose launcher trains into `out`."""
    for each in Path("/proc").glob("[0-9]*"):
        try:
            variables = (each / "environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() in variables and out in opened(each):
                return int(each.name)
        except OSError:
            continue
    raise AssertionError(f"no process of rank {rank}")


def opened(process: Path) -> list[Path]:
    """Folders of the files that a process has open, up to a run folder."""
    files = [each.readlink() for each in (process / "fd").iterdir()]
    return [parent for file in files for parent in file.parents]


@pytest.fixture
def model(tmp_path, tiny):
    file = tmp_path / "model.json"
    file.write_text(tiny["model"])
    return file


@pytest.mark.slow
def test_signals_and_kills_end_a_run_that_one_process_then_continues(tmp_path, model):
    out = tmp_path / "run"
    command = ("vitreous", *words(out, model), "--devices", "2")
    told = start(*command)
    wait_for_checkpoint(told, out, after=0)
    told.send_signal(signal.SIGTERM)
    _, said = told.communicate(timeout=PATIENCE_S)
    assert told.returncode == 75, said
    assert said.count("vitreous: stopped at step") == 1
    stopped = int(list_checkpoints(out / "checkpoints")[0].name[5:])
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"

    killed = start(*command)
    wait_for_checkpoint(killed, out, after=stopped)
    begin = time.monotonic()
    os.kill(process_of_rank(1, out), signal.SIGKILL)
    _, said = killed.communicate(timeout=PATIENCE_S)
    assert killed.returncode == 75, said
    assert "vitreous: process 1 of 2 was ended by SIGKILL" in said
    assert "the same command continues from the newest checkpoint" in said
    assert time.monotonic() - begin < 60
    newest = int(list_checkpoints(out / "checkpoints")[0].name[5:])
    assert newest > stopped

    settings = {
        "data": "digits", "model": str(model), "out": out, "epochs": 100, "batch_size": 16, "lr": 1e-3,
        "precision": "float32", "device": "cpu", "compile": False, "eval_every": 100,
        "loading": {"limit": 96},
    }  # fmt: skip
    result = train(**settings)
    log = (out / "train.log").read_text()
    assert f"continuing {out} from step {newest} of 600" in log
    assert "1 process (ddp) continue what 2 (ddp) began" in log
    assert (result.model_dir / "model.safetensors").exists()
    assert (out / "debug" / "rank1.log").exists()


@pytest.mark.slow
def test_a_process_that_no_longer_answers_ends_the_others_after_the_timeout(tmp_path, model):
    out = tmp_path / "run"
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "vitreous", *words(out, model), "--timeout-s", "4"],
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **meeting),
            stderr=subprocess.DEVNULL if rank else subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        wait_for_checkpoint(started[0], out, after=0)
        started[1].send_signal(signal.SIGSTOP)
        _, said = started[0].communicate(timeout=PATIENCE_S)
    finally:
        for each in started:
            each.kill()
            each.wait()
    assert started[0].returncode == 75, said
    assert "another process of this run ended or no longer answers" in said
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"


@pytest.mark.slow
def test_a_mistake_is_told_once_by_all_processes_of_torchrun_and_leaves_no_folder(tmp_path, model):
    out = tmp_path / "run"
    command = ("torch.distributed.run", "--nproc-per-node", "2", "-m", "vitreous")
    _, said = start(*command, *words(out, model, str(tmp_path / "nowhere"))).communicate(timeout=PATIENCE_S)
    assert sum(line.startswith("vitreous: ") for line in said.splitlines()) == 1
    assert "exitcode  : 3" in said
    assert not out.exists()


@pytest.mark.slow
def test_a_batch_norm_and_its_average_train_in_processes_that_devices_starts(tmp_path, tiny_run):
    wide = config("hybrid_1m", image_size=16, classes=10, channels=1)
    told = {}
    for devices in (1, 2):
        out = tmp_path / f"on{devices}"
        model = json.dumps(to_json(wide))
        changes = {"epochs": 4, "recipe": {"optimizer": "adamw", "ema_decay": 0.9, "drop_path": 0.0}}
        tiny_run(out=str(out), model=model, devices=devices, precision="float64", **changes)
        events = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        told[devices] = [each["train/loss"] for each in events if "train/loss" in each]
    assert len(told[1]) == 4
    assert told[2] == pytest.approx(told[1], abs=1e-9)


class Failure:
    def __init__(self, exitcode: int, message: object, timestamp: int = 0) -> None:
        self.exitcode = exitcode
        self.message = message
        self.timestamp = timestamp


def test_the_error_that_began_it_is_told_with_its_exit_code():
    lost = Failure(75, {"message": "LostProcessError: another process ended"}, timestamp=1)
    data = Failure(3, {"message": "DataError: img.png cannot be read"}, timestamp=2)
    error = _first_error({0: lost, 1: data}, 2)
    assert (type(error), str(error), error.exit_code) == (DataError, "img.png cannot be read", 3)
    killed = _first_error({0: lost, 1: Failure(-9, "Signal 9 (SIGKILL) received", timestamp=2)}, 2)
    assert isinstance(killed, LostProcessError)
    assert "process 1 of 2 was ended by SIGKILL; it may have run out of memory" in str(killed)
    ended = Failure(75, {"message": "StoppedError: stopped by SIGTERM"}, timestamp=1)
    killed = _first_error({0: ended, 1: Failure(-9, "Signal 9 (SIGKILL) received", timestamp=1)}, 2)
    assert "process 1 of 2 was ended by SIGKILL" in str(killed)
    stopped = Failure(130, {"message": "StoppedError: stopped at step 3"})
    assert (type(_first_error({0: stopped}, 1)), _first_error({0: stopped}, 1).exit_code) == (
        StoppedError,
        130,
    )
    unknown = _first_error({0: Failure(1, {"message": "KeyError: 'x'"})}, 1)
    assert (str(unknown), unknown.exit_code) == ("'x'", 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"devices": 0}, "devices 0: 1 or more processes work"),
        ({"timeout_s": 0}, "timeout_s 0: more than 0 seconds work"),
    ],
)
def test_numbers_out_of_range_are_refused(tiny_run, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        tiny_run(**changes)
