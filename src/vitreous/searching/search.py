"""`vitreous.search`: from images, a space and a budget to a trained model of the space.

    data, space, budget checked → everything decided (`decide.py`) → supernet trained → evolution
    → the best retrained → report, and the model of the best

Each phase has its file and continues where it stopped: the supernet from its checkpoint, evolution from the
ledger, retraining as any run does. What was measured to fit the time is kept in `plan.json`, so that a
continued search cannot decide anything anew.

Several processes (`devices`, torchrun, Slurm) go through the phases together: steps of the supernet and of
retraining are shared, and candidates are shared through the ledger, as with workers. The first decides and
writes.
"""

import dataclasses
import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitreous.errors import ConfigError, DataError
from vitreous.searching.arguments import settings_from
from vitreous.searching.budget import BudgetError
from vitreous.searching.check_settings import check_settings
from vitreous.searching.clock import Clock
from vitreous.searching.correlation_phase import correlated
from vitreous.searching.decide import begin
from vitreous.searching.deliver import delivered
from vitreous.searching.evolution_phase import Found, evolved
from vitreous.searching.folder import SearchFolder, enter_search_folder
from vitreous.searching.launch import search_in_processes
from vitreous.searching.report import write_report
from vitreous.searching.retrain import Retrained
from vitreous.searching.retraining_phase import retrained
from vitreous.searching.settings import SearchSettings
from vitreous.searching.supernet_phase import trained_supernet
from vitreous.searching.task import Task
from vitreous.searching.worth import Agreement
from vitreous.training.interruption import Interruption
from vitreous.training.processes import Process, this_process
from vitreous.training.surroundings import audible, torch_as_planned
from vitreous.training.world import World, joined

logger = logging.getLogger("vitreous")


@dataclass(frozen=True)
class SearchResult:
    """What a search leaves.

    Args:
        folder: of the search.
        model_dir: the best retrained network, for `vitreous.load`.
        genome: of it.
        metrics: `val/top1` of it (a fraction), `model/macs`, `model/params`, `search/candidates`.
        verdict: whether the search beats its baselines, in words.
    """

    folder: Path
    model_dir: Path
    genome: tuple[int, ...]
    metrics: dict[str, float]
    verdict: str


def search(
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    space: str | os.PathLike[str] = SearchSettings.space,
    budget: str = SearchSettings.budget,
    out: str | os.PathLike[str] | None = None,
    *,
    settings: SearchSettings | None = None,
    begun: float | None = None,
    **others: Any,
) -> SearchResult:
    """Learn an architecture from images, within a budget; the same call continues a search that was stopped.

    Args:
        data: what `vitreous.train` takes.
        space: name or file, see `vitreous.searching.named`.
        budget: such as `macs=0.6G,params=6M,latency_ms=8,memory=200MB`; "" for none.
        out: folder of the search; by default one under `runs/` that these settings name.
        settings: all as one value, instead of the others.
        begun: `time.perf_counter()` from which `time` counts; None for now.
        **others: fields of `SearchSettings`; sections as values or by some of their fields.

    Raises:
        ConfigError: settings, a space or a storage that cannot be used.
        DataError: images that cannot be used, or of one class.
        BudgetError: no architecture is within the budget (says the cheapest), or the time is too short for a
            search (says how much is needed).
        ResumeMismatch: `out` or its ledger belong to another search.
        DivergedError: a loss that is not finite.
        StoppedError: told to stop; the same call continues.
        LostProcessError: one of several processes is gone; the same call continues.
    """
    begun = time.perf_counter() if begun is None else begun
    if settings is None:
        settings = settings_from(data, space, budget, out, others)
    check_settings(settings)
    process = this_process()
    if settings.devices > 1 and process.size == 1:
        place = str(search_in_processes(settings))
        return _finished(SearchFolder(dataclasses.replace(settings, out=place), leads=False))
    own = Process() if settings.worker else process  # workers share nothing but the ledger
    with (
        audible(process),
        joined(device=settings.device, timeout_s=settings.timeout_s, process=own) as world,
    ):
        folder = enter_search_folder(settings, world)
        try:
            return _search(settings, folder, begun, world)
        except (ConfigError, DataError, BudgetError):
            folder.discard()
            raise
        finally:
            folder.close()


def _search(settings: SearchSettings, folder: SearchFolder, begun: float, world: World) -> SearchResult:
    """The phases, in order."""
    if world.from_first(folder.state.get("phase")) == "finished" and not settings.worker:
        logger.info("%s is finished already; --fresh searches again and keeps it aside", folder.path)
        return _finished(folder)
    with Interruption() as interruption:
        task = begin(settings, folder, Clock(folder, settings.time, begun), world)
        with torch_as_planned(task.plan):
            task, scorer, weights = trained_supernet(task, interruption)
            found = evolved(task, scorer, weights, interruption)
    if settings.worker:
        logger.info("the search needs no more scores; retraining is the first process's")
        metrics = {"search/candidates": float(len(found.ranked))}
        return SearchResult(folder.path, folder.path / "model", found.ranked[0].genome, metrics, "")
    done = retrained(task, found)
    worth = correlated(task, found)
    return world.by_first(lambda: _deliver(task, found, done, worth))


def _deliver(
    task: Task, found: Found, done: Sequence[Retrained], worth: dict[str, Agreement]
) -> SearchResult:
    """The report, and the model of the best winner."""
    path, winner = task.folder.path, done[0]
    task.folder.note("report")
    text = write_report(
        path,
        space=task.space,
        budget=task.budget,
        ranked=found.ranked,
        front=found.front,
        retrained=done,
        worth=worth,
        held_out=_held_out(winner.run),
        seconds=task.clock.seconds,
    )
    model = path / "model"
    delivered(winner.run / "model", model)
    verdict = json.loads((path / "report.json").read_text())["verdict"]
    assert winner.candidate is not None
    genome = winner.candidate.genome
    metrics = {
        "val/top1": winner.top1,
        "model/macs": float(winner.macs),
        "model/params": float(winner.params),
        "search/candidates": float(len(found.ranked)),
    }
    task.folder.note("finished", genome=list(genome), metrics=metrics, verdict=verdict)
    logger.info("%s", text)
    return SearchResult(path, model, genome, metrics, verdict)


def _held_out(run: Path) -> int:
    counts = json.loads((run / "data.json").read_text())
    images = counts.get("images", counts)
    return int(images.get("val", 0)) if isinstance(images, dict) else 0


def _finished(folder: SearchFolder) -> SearchResult:
    """What a search that has come to its end left in its folder."""
    state = folder.state
    return SearchResult(
        folder.path, folder.path / "model", tuple(state["genome"]), dict(state["metrics"]), state["verdict"]
    )
