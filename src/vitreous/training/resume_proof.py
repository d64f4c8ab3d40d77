"""Proof that a killed and continued run is the uninterrupted one, bit for bit: `vitreous selftest resume`.

A tiny EIT trains on handwritten digits in a process of its own, with a checkpoint after every step. The
process is killed with SIGKILL (which nothing can catch) again and again: at random moments of random steps,
every second time as soon as a checkpoint is seen being written. The same command is repeated after each
kill. At the end all weights (plain, averaged, best, delivered) must be equal byte for byte to those of a
run that nobody disturbed, and so must every line of the metrics, times left out.
"""

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import VerifyError
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config
from vitreous.training.checkpoint import TEMPORARY, list_checkpoints
from vitreous.training.metrics_log import read_events

CHILD = "import json, sys; from vitreous.training.train import train; train(**json.loads(sys.argv[1]))"
PATIENCE_S = 300.0  # without a new step, a child counts as stuck
TIMES = ("wall_s", "time", "time/", "perf/")
logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class ResumeProof:
    """What the proof found.

    Args:
        kills: (newest whole checkpoint at the kill, whether a checkpoint was being written) for each kill.
        steps: optimizer steps of the run.
        steps_per_epoch: of them in an epoch.
        compiled: whether torch.compile was on.
        differences: what was not equal; empty is the proof.
        seconds: all runs together.
    """

    kills: tuple[tuple[int, bool], ...]
    steps: int
    steps_per_epoch: int
    compiled: bool
    differences: tuple[str, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """The verdict."""
        return not self.differences

    def __str__(self) -> str:
        writing = sum(write for _, write in self.kills)
        inside = sum(step % self.steps_per_epoch != 0 for step, _ in self.kills)
        verdict = "bit-equal" if self.equal else "NOT equal"
        return (
            f"{len(self.kills)} × SIGKILL in {self.steps} steps ({inside} in mid-epoch, {writing} while a "
            f"checkpoint was being written){', compiled' if self.compiled else ''}: weights and metrics are "
            f"{verdict} to the uninterrupted run ({self.seconds:.0f} s)"
            + "".join(f"\n  {each}" for each in self.differences)
        )


def prove_resume(
    *, kills: int = 10, epochs: int = 8, seed: int = 0, compiled: bool = False, folder: Path | None = None
) -> ResumeProof:
    """Train twice, once with kills, and compare.

    Args:
        kills: how many times the second run is killed.
        epochs: length of the runs, 12 steps each.
        seed: chooses the moments of the kills.
        compiled: train through torch.compile.
        folder: where the two runs go; by default a temporary folder that is removed.

    Raises:
        VerifyError: a run ended with an error of its own, or before all kills were done.
    """
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitreous-resume-")))
        whole, broken = _run(folder / "whole", epochs, compiled), _run(folder / "broken", epochs, compiled)
        logger.info("a run without interruption …")
        whole.finish()
        steps = list_checkpoints(whole.folder / "checkpoints")[0]
        total = int(steps.name.removeprefix("step-"))
        chance = random.Random(seed)
        targets = sorted(chance.sample(range(1, total - 2), kills))
        done = []
        for number, target in enumerate(targets):
            found = broken.kill(target, in_writing=number % 2 == 1, delay_s=chance.uniform(0, 0.03))
            logger.info(
                "kill %d of %d at step %d%s", number + 1, kills, found[0], ", writing" if found[1] else ""
            )
            done.append(found)
        broken.finish()
        return ResumeProof(
            kills=tuple(done),
            steps=total,
            steps_per_epoch=total // epochs,
            compiled=compiled,
            differences=tuple(_differences(whole.folder, broken.folder)),
            seconds=time.monotonic() - begun,
        )


@dataclass
class _Child:
    """A run in a process of its own, always started by the same command."""

    folder: Path
    arguments: dict[str, Any]

    def start(self) -> subprocess.Popen[bytes]:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "VITREOUS_LOG": "info"}
        with self._output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", CHILD, json.dumps(self.arguments)],
                stdout=output, stderr=output, env=environment,
            )  # fmt: skip

    def finish(self) -> None:
        process = self.start()
        if process.wait() != 0:
            raise self._failed("ended with an error")

    def kill(self, target: int, *, in_writing: bool, delay_s: float) -> tuple[int, bool]:
        """Start, wait for step `target`, kill; newest checkpoint, and whether one was half written."""
        process = self.start()
        try:
            self._wait(process, lambda: self._newest() >= target)
            if in_writing:
                self._wait(process, self._writing)
            else:
                time.sleep(delay_s)
        finally:
            process.kill()
            process.wait()
        return self._newest(), self._writing()

    def _wait(self, process: subprocess.Popen[bytes], reached: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            if process.poll() is not None:
                raise self._failed("ended before it could be killed")
            if time.monotonic() > deadline:
                raise self._failed("made no progress")
            time.sleep(0.0005)

    def _newest(self) -> int:
        found = list_checkpoints(self.folder / "checkpoints")
        return int(found[0].name.removeprefix("step-")) if found else -1

    def _writing(self) -> bool:
        return any((self.folder / "checkpoints").glob(f"{TEMPORARY}step-*"))

    def _failed(self, what: str) -> VerifyError:
        last = self._output.read_text(errors="replace").strip().splitlines()[-1:]
        return VerifyError(f"the training process {what}: {' '.join(last)}")

    @property
    def _output(self) -> Path:
        return self.folder.with_suffix(".output")


def _run(folder: Path, epochs: int, compiled: bool) -> _Child:
    tiny = config("eit_digits", image_size=8, classes=10, channels=1, width=16, depth=2, heads=2)
    return _Child(
        folder,
        {
            "data": "digits",
            "model": json.dumps(to_json(tiny)),
            "out": str(folder),
            "epochs": epochs,
            "batch_size": 16,
            "lr": 5e-3,
            "compile": compiled,
            "device": "cpu",
            "recipe": {"dropout": 0.1, "attention_dropout": 0.1, "erasing": 0.1},
            "loading": {"limit": 200},
            "saving": {"every_s": 0.0, "keep": 2},
        },
    )


def _differences(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs."""
    found = []
    names = [Path("model/model.safetensors")]
    newest = list_checkpoints(one / "checkpoints")[0].relative_to(one)
    names += [newest / f"{kind}.safetensors" for kind in ("model", "ema", "best")]
    for name in names:
        if not (other / name).exists() or (one / name).read_bytes() != (other / name).read_bytes():
            found.append(f"{name} differs")
    events = "metrics.jsonl"
    whole, broken = ([_timeless(event) for event in read_events(run / events)] for run in (one, other))
    if len(whole) != len(broken):
        found.append(f"{events} has {len(broken)} lines instead of {len(whole)}")
    pairs = enumerate(zip(whole, broken, strict=False), 1)
    return (
        found + [f"{events} line {at}: {new} instead of {old}" for at, (old, new) in pairs if old != new][:3]
    )


def _timeless(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if not key.startswith(TIMES)}
