"""A set of runs that differ in their seed alone: mean, standard deviation and n.

    OUT/seed-0  OUT/seed-1  …  OUT/seeds.json

Each seed is a run folder as any other, so the same command goes on where the set stopped, and more seeds may
be asked for later. What is reported is the mean over seeds with the sample standard deviation (n − 1); the
best of n grows with n and is no headline.
"""

import dataclasses
import json
import logging
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.evaluation.evaluate import evaluate
from vitreous.evaluation.result import EvaluationResult
from vitreous.runs.called import settings_of_call
from vitreous.training.check_settings import check_settings
from vitreous.training.processes import Process, this_process
from vitreous.training.run import TrainResult
from vitreous.training.run_folder import INPUT, differences, place_of, runs_folder, write_text
from vitreous.training.settings import TrainSettings
from vitreous.training.surroundings import audible
from vitreous.training.train import train_run

SET = "seeds.json"
logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class Spread:
    """A metric over seeds: mean, sample standard deviation (None of one value), n, and the values."""

    mean: float
    sd: float | None
    n: int
    values: tuple[float, ...]

    def __str__(self) -> str:
        return self.percent() if 0 <= self.mean <= 1 else self.plain()

    def percent(self) -> str:
        """`52.31 ± 0.40 % (n = 3)` of fractions."""
        sd = "" if self.sd is None else f" ± {100 * self.sd:.2f}"
        return f"{100 * self.mean:.2f}{sd} % (n = {self.n})"

    def plain(self) -> str:
        """`1.2345 ± 0.0120 (n = 3)`."""
        sd = "" if self.sd is None else f" ± {self.sd:.4f}"
        return f"{self.mean:.4f}{sd} (n = {self.n})"


@dataclass(frozen=True)
class SeedsResult:
    """A finished set.

    Args:
        folder: of the set.
        runs: by seed.
        metrics: over the seeds, by name.
    """

    folder: Path
    runs: dict[int, TrainResult]
    metrics: dict[str, Spread]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in `seeds.json`."""
        return {
            "folder": str(self.folder),
            "runs": {str(seed): {"run_dir": str(run.run_dir), "metrics": run.metrics}
                     for seed, run in self.runs.items()},
            "metrics": {name: dataclasses.asdict(each) for name, each in self.metrics.items()},
        }  # fmt: skip


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0..4`, `0,3,7` or `0..2,7` as numbers, in order.

    Raises:
        ConfigError: anything else, a seed twice, or none.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        if not match:
            raise ConfigError(f"seeds {text!r}: 0..4, 0,3,7 and 0..2,7 work")
        first, last = int(match[1]), int(match[2] or match[1])
        seeds += range(first, last + 1)
    if not seeds or len(set(seeds)) != len(seeds):
        raise ConfigError(f"seeds {text!r} names {'one seed twice' if seeds else 'none'}; 0..4 works")
    return tuple(seeds)


def spread(values: Sequence[float]) -> Spread:
    """Mean, sample standard deviation and n."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.mean(values), sd, len(values), tuple(values))


def train_seeds(seeds: str | Sequence[int], *arguments: Any, **named: Any) -> SeedsResult:
    """Train once with each seed into one folder, or go on where such a set stopped.

    Args:
        seeds: numbers, or a text as `0..4` and `0,3,7`.
        arguments: as of `vitreous.train`; `out` is the folder of the set.
        named: as of `vitreous.train`, without `seed`.

    Raises:
        ConfigError: seeds that cannot be read, or a folder that holds something else.
        VitreousError: what `train` raises, from the first seed that fails; those before are kept.
    """
    chosen = parse_seeds(seeds) if isinstance(seeds, str) else parse_seeds(",".join(map(str, seeds)))
    settings = settings_of_call(*arguments, **named)
    check_settings(settings)
    process = this_process()
    if process.size > 1:
        raise ConfigError(
            "--seeds starts its runs itself: use --devices N, or one command a seed under torchrun"
        )
    with audible(Process()):
        folder = _folder(settings, chosen)
        runs: dict[int, TrainResult] = {}
        for place, seed in enumerate(chosen):
            logger.info("seed %d, %d of %d", seed, place + 1, len(chosen))
            try:
                runs[seed] = train_run(_of_seed(settings, folder, seed))
            except BaseException:
                if not list(folder.glob("seed-*")):  # a mistake before anything was trained
                    (folder / SET).unlink(missing_ok=True)
                    folder.rmdir()
                raise
            _note(folder, chosen, runs)
    return SeedsResult(folder, runs, summary([run.metrics for run in runs.values()]))


def summary(metrics: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Every metric that all runs have, over them."""
    names = [name for name in metrics[0] if all(name in each for each in metrics)]
    return {name: spread([each[name] for each in metrics]) for name in names if not name.startswith("model/")}


def is_set(path: Path) -> bool:
    """Whether a folder holds a set of seeds."""
    return (path / SET).exists()


def runs_of_set(path: Path) -> dict[int, Path]:
    """The run folders of a set that are there, by seed.

    Raises:
        ConfigError: none is.
    """
    numbered = {int(each.name[5:]): each for each in path.glob("seed-*") if each.name[5:].isdigit()}
    found = {seed: each for seed, each in sorted(numbered.items()) if (each / INPUT).exists()}
    if not found:
        raise ConfigError(f"{path} is a set of seeds without a run")
    return found


def evaluate_seeds(folder: Path, **options: Any) -> tuple[dict[int, EvaluationResult], dict[str, Spread]]:
    """Evaluate every run of a set; the results by seed, and the metrics over them.

    Args:
        folder: of the set.
        options: as of `vitreous.evaluate`; `out` gets a folder for each seed.
    """
    out = options.pop("out", None)
    results = {}
    for seed, run in runs_of_set(folder).items():
        place = None if out is None else Path(out) / run.name
        results[seed] = evaluate(run, out=place, **options)
    return results, summary([each.metrics for each in results.values()])


def _of_seed(settings: TrainSettings, folder: Path, seed: int) -> TrainSettings:
    return dataclasses.replace(settings, out=str(folder / f"seed-{seed}"), seed=seed, fresh=False)


def _folder(settings: TrainSettings, seeds: Sequence[int]) -> Path:
    """The folder of the set, made where it is not there."""
    if settings.out is None:
        unfinished = None if settings.fresh else _newest_unfinished(settings, seeds)
        folder = unfinished or place_of(dataclasses.replace(settings, fresh=True))
    else:
        folder = Path(settings.out)
    if folder.is_file():
        raise ConfigError(f"--out {folder} is a file; give a folder, or a name that does not exist yet")
    if folder.exists() and any(folder.iterdir()):
        if not is_set(folder):
            what = "a single run" if (folder / INPUT).exists() else "something that is not a set of seeds"
            raise ConfigError(f"--out {folder} holds {what}; give a name that does not exist yet")
        if settings.fresh:
            aside = folder.with_name(f"{folder.name}.{datetime.now():%y%m%d-%H%M%S}")
            folder.rename(aside)
            logger.info("--fresh: the earlier set is now %s", aside)
        else:
            _same_settings(folder, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}; give another --out") from None
    _note(folder, seeds, {})
    return folder


def _same_settings(folder: Path, settings: TrainSettings) -> None:
    """Every run that is there already must be one of this set, before another is trained."""
    for seed, run in runs_of_set(folder).items() if list(folder.glob("seed-*")) else ():
        changed = list(differences(run, _of_seed(settings, folder, seed)))
        if changed:
            raise ResumeMismatch(
                f"{folder} is a set of runs with other settings ({'; '.join(changed)}); repeat its command "
                "to continue it, give another --out, or --fresh to start over and keep the old folder aside"
            )


def _newest_unfinished(settings: TrainSettings, seeds: Sequence[int]) -> Path | None:
    found = []
    for file in runs_folder().glob(f"*/{SET}"):
        told = json.loads(file.read_text(encoding="utf-8"))
        try:
            _same_settings(file.parent, settings)
        except ConfigError:
            continue
        if told["state"] != "finished" and told["seeds"] == list(seeds):
            found.append((told["start"], file.parent))
    return max(found)[1] if found else None


def _note(folder: Path, seeds: Sequence[int], runs: Mapping[int, TrainResult]) -> None:
    """Write `seeds.json`."""
    before = json.loads((folder / SET).read_text(encoding="utf-8")) if is_set(folder) else {}
    told = {
        "schema_version": 1,
        "state": "finished" if len(runs) == len(seeds) else "unfinished",
        "seeds": list(seeds),
        "start": before.get("start") or datetime.now().astimezone().isoformat(timespec="seconds"),
        "runs": {str(seed): {"run": run.run_dir.name, "metrics": run.metrics} for seed, run in runs.items()},
        "metrics": {
            name: dataclasses.asdict(each)
            for name, each in (summary([run.metrics for run in runs.values()]) if runs else {}).items()
        },
    }
    write_text(folder / SET, json.dumps(told, indent=1) + "\n")
