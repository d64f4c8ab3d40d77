"""What the tests of several processes do in each of them; with one process, in the test's own.

Every function returns what can be compared: losses of each step, sums of weights, counts.
"""

import datetime
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vitreous.data.batch import Batch
from vitreous.data.preprocessing import Preprocessing
from vitreous.errors import StoppedError
from vitreous.evaluation.evaluate import evaluate
from vitreous.parts import ImageShape
from vitreous.training.loop import Loop
from vitreous.training.objective import Shown
from vitreous.training.parallel import replicated, synchronize_batch_norm
from vitreous.training.recipe import Recipe
from vitreous.training.sharded import Sharded
from vitreous.training.step import TrainStep
from vitreous.training.train import train
from vitreous.training.validation import validate
from vitreous.training.world import joined


def run(stop_after: int | None = None, told: int = 0, **arguments: Any) -> dict[str, Any]:
    """Train; the loss of every step, the metrics, and whether it was stopped.

    Args:
        stop_after: the step after which one process is told to stop.
        told: which process.
        arguments: of `train`.
    """
    losses: list[float] = []
    count, move = Loop._count, Loop._move

    def noting(self: Loop, measured: Tensor, *rest: Any) -> tuple[float, float]:
        values = count(self, measured, *rest)
        losses.append(values[0])
        return values

    def stopping(self: Loop, shown: Shown) -> tuple[float, float]:
        if stop_after is not None and self.step == stop_after - 1 and self._world.rank == told:
            self.interruption.requested = signal.SIGTERM
        return move(self, shown)

    Loop._count, Loop._move = noting, stopping  # type: ignore[method-assign,assignment]
    try:
        metrics = train(**arguments).metrics
        return {"losses": losses, "metrics": metrics, "stopped": None}
    except StoppedError as error:
        return {"losses": losses, "metrics": {}, "stopped": str(error)}
    finally:
        Loop._count, Loop._move = count, move  # type: ignore[method-assign]


class Supernet(nn.Module):
    """Two paths, of which only one is taken, a weight that is used three times, and perhaps a BatchNorm."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.config = SimpleNamespace(image=ImageShape(1, 8, 8))
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.again = nn.Linear(8, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 5), nn.Linear(8, 5)])
        self.path = 0

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.stem(x)).mean((2, 3))
        for _ in range(3):
            y = y + torch.tanh(self.again(y))
        out: Tensor = self.layers[self.path](y)
        return out


def supernet(norm: bool, sharding: str = "ddp", **recipe: Any) -> dict[str, Any]:
    """Six steps, the path taken changes with the step; losses, norms and all weights."""
    with joined(device="cpu", timeout_s=60) as found:
        torch.manual_seed(0)
        model = Supernet(norm).double()
        synchronize_batch_norm(model, found)
        forward: nn.Module = model
        if not found.alone:
            in_parts = sharding == "fsdp"
            forward = Sharded(model, model, found, averaged=True) if in_parts else replicated(model)
        trainee = TrainStep(
            model,
            Recipe(drop_path=0.0, label_smoothing=0.0, **recipe),
            lr=1e-2,
            total_steps=6,
            steps_per_epoch=3,
            seed=0,
            precision="float64",
            ema_decay=0.5,
            forward=forward,
            world=found,
        )
        generator = torch.Generator().manual_seed(1)
        told = []
        for step in range(6):
            model.path = 0 if step < 3 else 1
            x = torch.randn(16, 1, 8, 8, generator=generator, dtype=torch.float64)
            y = torch.randint(5, (16,), generator=generator)
            part = torch.from_numpy(found.shard().places(16))
            loss, norm = trainee.backward(Shown(x[part], y[part]), step)
            trainee.update()
            told.append((float(found.sum(loss.clone() / found.size)), float(norm)))
        weights = {
            f"{kind}.{name}": value.clone()
            for kind, state in trainee.weights().items()
            for name, value in state.items()
        }
        return {"told": told, "weights": weights}


def count(images: int, batch: int) -> dict[str, float]:
    """Validation of `images` images in batches of `batch` over all processes."""
    with joined(device="cpu", timeout_s=60) as world:
        generator = torch.Generator().manual_seed(images)
        x = torch.randint(256, (images, 1, 4, 4), generator=generator, dtype=torch.uint8)
        y = torch.randint(7, (images,), generator=generator)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 7)).double()
        fit = Preprocessing(channels=1, height=4, width=4, mean=(0.4,), std=(0.2,))
        shard = world.shard()
        batches = []
        for rows in torch.arange(images).split(batch):
            own = torch.from_numpy(shard.part(rows.numpy()))
            batches.append(Batch(x[own], y[own], own))
        found = validate(model, batches, fit, precision="float64", world=world)
        return found | {"images": float(sum(len(each.labels) for each in batches))}


def measured(run: str, out: str) -> dict[str, Any]:
    """`evaluate` of a trained run: metrics, and what was answered of each image in order."""
    result = evaluate(run, out=out, batch_size=30, device="cpu")
    return {"metrics": result.metrics, "answers": [(each.where, each.predicted) for each in result.answers]}


def main(asked: Path, told: Path, *functions: Callable[..., Any]) -> None:
    torch.set_num_threads(1)
    tasks: list[tuple[str, dict[str, Any]]] = pickle.loads(asked.read_bytes())
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=120))
    known = {each.__name__: each for each in functions}
    results = [known[name](**arguments) for name, arguments in tasks]
    told.write_bytes(pickle.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), run, supernet, count, measured)
