"""`vitreous.search`: from images, a space and a budget to a trained model of the space.

    data, space, budget checked → everything decided → supernet trained → evolution → the best retrained
    → report, and the model of the best

Each phase continues where it stopped: the supernet from its checkpoint, evolution from the ledger, retraining
as any run does. What was measured to fit the time is kept in `plan.json`, so that a continued search cannot
decide anything anew.

Several processes (`devices`, torchrun, Slurm) go through the phases together: every step of the supernet and
of retraining is shared, and candidates are shared through the ledger, as with workers. The first decides and
writes.
"""

import dataclasses
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import torch

from vitreous.data.images import ImageData
from vitreous.errors import ConfigError, DataError, ResumeMismatch, did_you_mean
from vitreous.models.as_json import to_json
from vitreous.models.catalog import config as catalog_config
from vitreous.models.vision_transformer import VisionTransformer
from vitreous.searching.budget import Budget, BudgetError, parse_budget
from vitreous.searching.check_settings import check_settings
from vitreous.searching.choose_space import SMALL, choose_space, device_of
from vitreous.searching.deliver import delivered
from vitreous.searching.evolve import evolve
from vitreous.searching.feasible import check_budget
from vitreous.searching.folder import SearchFolder, enter_search_folder
from vitreous.searching.launch import search_in_processes
from vitreous.searching.ledger import Candidate, Ledger
from vitreous.searching.look import Looking
from vitreous.searching.named import WIDE
from vitreous.searching.pareto import along, front, goals_of
from vitreous.searching.report import write_report
from vitreous.searching.retrain import Retrained, retrain
from vitreous.searching.score import Scorer
from vitreous.searching.settings import Evolution, SearchSettings
from vitreous.searching.space import Space
from vitreous.searching.splits import open_search_data
from vitreous.searching.strata import Paths
from vitreous.searching.train_supernet import SupernetTraining, whole_batch
from vitreous.searching.worth import Agreement, agreement, snip
from vitreous.training import automatic
from vitreous.training.assemble import make_train_batches, make_val_batches
from vitreous.training.automatic import Reasons
from vitreous.training.decide import decide
from vitreous.training.interruption import Interruption
from vitreous.training.machine import look_at_machine
from vitreous.training.plan import Plan
from vitreous.training.processes import Process, this_process
from vitreous.training.run_folder import write_text
from vitreous.training.settings import TrainSettings
from vitreous.training.surroundings import audible, torch_as_planned
from vitreous.training.time_budget import fit_steps, parse_time
from vitreous.training.world import World, joined

logger = logging.getLogger("vitreous")
SUPERNET, EVOLUTION, CORRELATION = 0.5, 0.2, 0.2
"""Shares of the time; retraining has what is left."""
FULL_GENERATIONS = 20


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
    **others: Any,
) -> SearchResult:
    """Learn an architecture from images, within a budget; the same call continues a search that was stopped.

    Args:
        data: what `vitreous.train` takes.
        space: name or file, see `vitreous.searching.named`.
        budget: such as `macs=0.6G,params=6M,latency_ms=8,memory=200MB`; "" for none.
        out: folder of the search; by default one under `runs/` that these settings name.
        settings: all as one value, instead of the others.
        **others: fields of `SearchSettings`; sections as values or by some of their fields.

    Raises:
        ConfigError: settings, a space or a storage that cannot be used.
        DataError: images that cannot be used, or of one class.
        BudgetError: no architecture is within the budget; says the cheapest.
        ResumeMismatch: `out` or its ledger belong to another search.
        DivergedError: a loss that is not finite.
        StoppedError: told to stop; the same call continues.
        LostProcessError: one of several processes is gone; the same call continues.
    """
    if settings is None:
        given = [data] if isinstance(data, str | os.PathLike) else list(data or [])
        settings = SearchSettings(
            data=[str(each) for each in given],
            space=str(space),
            budget=budget,
            out=None if out is None else str(out),
            **_sections(others),
        )
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
            return Search(settings, folder, world).go()
        except (ConfigError, DataError, BudgetError):
            folder.discard()
            raise
        finally:
            folder.close()


def _finished(folder: SearchFolder) -> SearchResult:
    """What a search that has come to its end left in its folder."""
    state = folder.state
    return SearchResult(
        folder.path, folder.path / "model", tuple(state["genome"]), dict(state["metrics"]), state["verdict"]
    )


def _sections(given: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(SearchSettings)
    found = {}
    for name, value in given.items():
        if name not in hints:
            raise ConfigError(f"search has no argument {name!r}{did_you_mean(name, hints)}")
        if dataclasses.is_dataclass(hints[name]) and isinstance(value, Mapping):
            known = [field.name for field in dataclasses.fields(hints[name])]
            for each in value:
                if each not in known:
                    raise ConfigError(f"search: {name} has no {each!r}{did_you_mean(str(each), known)}")
            value = hints[name](**value)  # type: ignore[operator]
        found[name] = value
    return found


class Search:
    """The phases of a search, in order.

    Args:
        settings: as given.
        folder: open.
        world: the processes that search together; the first one leads.
    """

    def __init__(self, settings: SearchSettings, folder: SearchFolder, world: World | None = None) -> None:
        self.settings, self.folder, self.begun = settings, folder, time.perf_counter()
        self.world = world or World()
        self.budget = parse_budget(settings.budget)
        self.budget_s = parse_time(settings.time) if settings.time else None
        self.seconds: dict[str, float] = dict(folder.plan.get("seconds", {}))

    def go(self) -> SearchResult:
        """From images to the model; raises what `search` raises."""
        path, world = self.folder.path, self.world
        with Interruption() as interruption:
            data = world.led(
                lambda: open_search_data(
                    self.settings.data,
                    loading=self.settings.loading,
                    seed=self.settings.seed,
                    split_file=path / "split.csv",
                    choice=self.settings.choice,
                )
            )
            logger.info("%s", data.scan)
            space = self._space(data)
            plan = world.by_first(lambda: self._plan(data, space))
            plan = dataclasses.replace(plan, device=world.device(plan.device))
            with torch_as_planned(plan):
                scorer, weights = self._supernet(plan, data, space, interruption)
                ledger = world.led(lambda: self._ledger(self._identity(space, data) | {"supernet": weights}))
                try:
                    with interruption.postponed():
                        ranked, compared = self._evolve(space, scorer, plan, ledger, interruption)
                    unbeaten = front(ledger.all(), goals_of(self.budget))
                finally:
                    ledger.close()
        if self.settings.worker:
            logger.info("the search needs no more scores; retraining is the first process's")
            best = ranked[0]
            metrics = {"search/candidates": float(len(ranked))}
            return SearchResult(path, path / "model", best.genome, metrics, "")
        return self._finish(space, plan, data, ranked, compared, unbeaten)

    def _spent(self, phase: str, begin: float) -> None:
        """Add to what a phase took, in all processes that led this search and came to its end."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begin
        self.folder.decide(seconds=self.seconds)

    def _space(self, data: ImageData) -> Space:
        kept, reasons = self.folder.plan, Reasons()
        device = kept["plan"]["device"] if kept else device_of(self.settings)
        self.space_name, space = choose_space(self.settings, data, device, reasons)
        image, why = space.config.image, reasons.sentences
        logger.info("space      %s, %s architectures (%s)", self.space_name, f"{space.count:,}", why["space"])
        logger.info("image_size %d×%d (%s)", image.height, image.width, why["image_size"])
        return space

    def _ledger(self, identity: Mapping[str, Any]) -> Ledger:
        kept, path, storage = self.folder.plan, self.folder.path, self.settings.storage
        # a copy of the folder may have another name
        name = "search" if storage is None else kept.get("study", f"vitreous-{path.name}")
        return Ledger(path, storage, identity, name=name, join=self.settings.worker)

    def _plan(self, data: ImageData, space: Space) -> Plan:
        check_budget(space, self.budget)
        kept = self.folder.plan
        if self.settings.worker and not kept:
            raise ConfigError(
                f"--worker: the search in {self.folder.path} has decided nothing yet; try later"
            )
        if self.settings.storage is not None:  # wrong ones are told before hours of training
            self._ledger(self._identity(space, data)).close()
        if kept:
            plan = Plan.from_json(kept["plan"])
            if plan.fingerprint != data.fingerprint or plan.classes != data.classes:
                raise ResumeMismatch(
                    f"{self.folder.path}: the data are not those that this search was started with; put them "
                    "back, or start over with --fresh"
                )
            if kept["space"] != space.to_json():
                raise ResumeMismatch(
                    f"{self.folder.path}: the space {space.name} is not what it was when this search was "
                    f"started ({self.folder.path / 'space.json'}); put it back, or start over with --fresh"
                )
            here = TrainSettings(device=plan.device)
            automatic.choose_device(here, look_at_machine(), automatic.Reasons())  # raises where it is not
            return plan if self.settings.worker else self._shared_anew(plan)
        any_model = space.resolve(space.cheapest("macs"))
        plan = decide(
            TrainSettings(
                data=self.settings.data,
                model=json.dumps(to_json(any_model)),
                epochs=self.settings.supernet.epochs,
                time=self.settings.time,
                batch_size=self.settings.batch_size,
                lr=self.settings.lr,
                seed=self.settings.seed,
                precision=self.settings.precision,
                device=self.settings.device,
                compile=False,
                recipe=dataclasses.replace(self.settings.recipe, ema=False),
                loading=self.settings.loading,
            ),
            data,
            self.world.size,
        )
        paths = 3 if self.settings.supernet.sandwich else 1
        plan = dataclasses.replace(plan, batch_size=whole_batch(plan.batch_size, paths, self.world.size))
        write_text(self.folder.path / "space.json", json.dumps(space.to_json(), indent=1) + "\n")
        if plan.total_steps:
            self._decided(space, plan, plan.total_steps)
        return plan

    def _shared_anew(self, plan: Plan) -> Plan:
        """The plan of a search that another number of processes continues."""
        if plan.processes == self.world.size:
            return plan
        logger.info(
            "%d process%s continue what %d began: the same batches and draws, sums in another order",
            self.world.size, "es" * (self.world.size > 1), plan.processes,
        )  # fmt: skip
        return dataclasses.replace(plan, processes=self.world.size, threads=torch.get_num_threads())

    def _decided(self, space: Space, plan: Plan, steps: int) -> None:
        plan = dataclasses.replace(plan, device=self._device(plan))
        self.folder.decide(
            plan=plan.to_json(),
            space=space.to_json(),
            supernet_steps=steps,
            study=f"vitreous-{self.folder.path.name}",
        )

    def _device(self, plan: Plan) -> str:
        """The device of all processes."""
        return plan.device if self.world.alone else plan.device.partition(":")[0]

    def _supernet(
        self, plan: Plan, data: ImageData, space: Space, interruption: Interruption
    ) -> tuple[Scorer, str]:
        """The trained supernet as a scorer, and what its weights are known by."""
        settings, folder = self.settings, self.folder.path / "supernet"
        folder.mkdir(exist_ok=True)
        paths = Paths(space, self.budget, settings.seed, settings.supernet.strata)
        training = SupernetTraining(
            plan,
            data,
            paths,
            loading=settings.loading,
            sandwich=settings.supernet.sandwich,
            folder=folder,
            world=self.world,
        )
        begin = time.perf_counter()
        steps = self.world.from_first(self.folder.plan.get("supernet_steps"))
        if steps is None:
            assert self.budget_s is not None
            step_s = training.step_seconds(0.01 * self.budget_s)
            fitting = fit_steps(
                SUPERNET * self.budget_s,
                spent_s=time.perf_counter() - self.begun,
                step_s=step_s,
                validation_s=0.0,
                eval_steps=1,
            )
            steps = self.world.from_first(fitting)
            self._decided(space, plan, steps)
        if settings.worker:
            self._wait_until(lambda: self.folder.state.get("phase") not in (None, "supernet"), "the supernet")
        else:
            count = sum(each.numel() for each in training.net.parameters())
            logger.info(
                "supernet: %s weights, %s steps of %d images", f"{count:,}", f"{steps:,}", plan.batch_size
            )
            self.folder.note("supernet")
        net = training.run(steps, interruption=interruption, save_s=settings.supernet.save_s)
        self._spent("supernet", begin)
        digest = hashlib.sha256()
        for name, each in sorted(net.state_dict().items()):
            digest.update(name.encode() + each.detach().cpu().contiguous().numpy().tobytes())
        scorer = Scorer(
            net,
            make_val_batches(plan, data, settings.loading),
            plan.preprocessing,
            precision=plan.precision,
            calibration=make_train_batches(plan, data, settings.loading),
        )
        return scorer, digest.hexdigest()[:16]

    def _wait_until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for what the first process does."""
        told = False
        while not ready():
            if not self.folder.led:
                raise ConfigError(
                    f"--worker: {self.folder.path} lacks {what}, and no process leads a search there; start "
                    "it without --worker, or where this is a copy of its folder, copy it again in a while"
                )
            if not told:
                logger.info("waiting for %s of %s", what, self.folder.path)
                told = True
            time.sleep(1.0)

    def _evolve(
        self, space: Space, scorer: Scorer, plan: Plan, ledger: Ledger, interruption: Interruption
    ) -> tuple[list[Candidate], list[Candidate]]:
        """All candidates, the best first; and those of a random search, where it is asked for."""
        begin = time.perf_counter()
        self.folder.note("evolution")
        looking = Looking(self.settings, self.budget, space, scorer, plan, ledger, interruption)
        if self.folder.leads:
            self._decide_evolution(looking)
        elif self.settings.worker:
            self._wait_until(lambda: "evolution" in self.folder.plan, "the sizes of the evolution")
        self.world.wait()
        looking.reference_ms = self.folder.plan.get("reference_ms")
        given, generations = self._sizes()
        logger.info("evolution: %d candidates, then as many in %d generations", given.population, generations)
        seed = self.settings.seed
        ranked = evolve(space, self.budget, given, generations, seed=seed, evaluate=looking.evaluate)
        if not any(each.rank[0] for each in ranked):
            error = BudgetError(_nothing_measured(ranked, self.budget))
            error.told = not self.world.first
            raise error
        compared: list[Candidate] = []
        if self.settings.compare:
            alone = dataclasses.replace(given, method="random", stop_hopeless=True)
            looking.origin = "random search"
            compared = evolve(
                space, self.budget, alone, generations, seed=seed + 1, evaluate=looking.evaluate
            )
        self._spent("evolution", begin)
        return ranked, compared

    def _decide_evolution(self, looking: Looking) -> None:
        """What latencies are measured against, and sizes that fit into evolution's share of the time."""
        given, kept = self.settings.evolution, self.folder.plan
        looking.reference_ms = kept.get("reference_ms")
        if self.budget.latency_ms is not None and looking.reference_ms is None:
            self.folder.decide(reference_ms=looking.stopwatch.reference_ms)
        if "evolution" in kept:
            return
        generations = FULL_GENERATIONS if given.generations == "auto" else given.generations
        population = given.population
        if self.budget_s is not None and given.generations == "auto":
            share = EVOLUTION * self.budget_s * self.world.size / (2 if self.settings.compare else 1)
            count = max(8, int(share / looking.seconds_each()))
            if count < 3 * population:
                population = max(4, count // 3)
            generations = max(1, min(FULL_GENERATIONS, count // population - 1))
        self.folder.decide(evolution={"population": population, "generations": generations})

    def _sizes(self) -> tuple[Evolution, int]:
        """Sizes of the evolution as they were decided."""
        given, kept = self.settings.evolution, self.folder.plan["evolution"]
        scale = kept["population"] / given.population
        sized = dataclasses.replace(
            given,
            population=kept["population"],
            parents=max(2, round(given.parents * min(1, scale))),
            crossover=round(given.crossover * scale),
            mutation=round(given.mutation * scale),
        )
        return sized, kept["generations"]

    def _identity(self, space: Space, data: ImageData) -> dict[str, Any]:
        """What must be equal for scores to compare."""
        from importlib.metadata import version

        described = json.dumps(space.to_json(), sort_keys=True)
        return {
            "space": f"{space.name} {hashlib.sha256(described.encode()).hexdigest()[:12]}",
            "data": data.fingerprint[:16],
            "budget": str(self.budget),
            "seed": self.settings.seed,
            "vitreous": version("vitreous"),
            "torch": torch.__version__,
        }

    def _finish(
        self,
        space: Space,
        plan: Plan,
        data: ImageData,
        ranked: list[Candidate],
        compared: list[Candidate],
        unbeaten: list[Candidate],
    ) -> SearchResult:
        """Retrain, tell, deliver."""
        settings = self.settings
        self.folder.note("retraining")
        begin = time.perf_counter()
        whole = [each for each in ranked if each.rank[0]]
        wanted: list[tuple[str, VisionTransformer, Candidate | None]] = [
            (f"winner {number}", space.resolve(each.genome), each)
            for number, each in enumerate(self._winners(whole), start=1)
        ]
        if settings.compare:
            best = next(each for each in compared if each.rank[0])
            wanted.append(("random search", space.resolve(best.genome), best))
            preset = self._preset(space)
            if preset is not None:
                wanted.append(("preset", preset, None))
        done: list[Retrained] = []
        for what, config, candidate in wanted:
            same = [
                it for it in done if candidate and it.candidate and it.candidate.genome == candidate.genome
            ]
            if same:  # the random search found a winner, too
                done.append(dataclasses.replace(same[0], what=what))
            else:
                done.append(self._retrained(plan, what, config, candidate, len(wanted)))
        self._spent("retraining", begin)
        worth = self._worth(space, plan, data, whole) if settings.correlate else {}
        return self.world.by_first(lambda: self._deliver(space, ranked, unbeaten, done, worth))

    def _deliver(
        self,
        space: Space,
        ranked: list[Candidate],
        unbeaten: list[Candidate],
        done: list[Retrained],
        worth: dict[str, Agreement],
    ) -> SearchResult:
        """Report and model of what was retrained."""
        path = self.folder.path
        winners = sorted(
            (each for each in done if each.what.startswith("winner")), key=lambda it: it.top1, reverse=True
        )
        ordered = [*winners, *(each for each in done if each not in winners)]
        text = write_report(
            path,
            space=space,
            budget=self.budget,
            ranked=ranked,
            front=unbeaten,
            retrained=ordered,
            worth=worth,
            held_out=_held_out(winners[0].run),
            seconds=self.seconds,
        )
        model = path / "model"
        delivered(winners[0].run / "model", model)
        verdict = json.loads((path / "report.json").read_text())["verdict"]
        assert winners[0].candidate is not None
        genome = winners[0].candidate.genome
        metrics = {
            "val/top1": winners[0].top1,
            "model/macs": float(winners[0].macs),
            "model/params": float(winners[0].params),
            "search/candidates": float(len(ranked)),
        }
        self.folder.note("finished", genome=list(genome), metrics=metrics, verdict=verdict)
        logger.info("%s", text)
        return SearchResult(path, model, genome, metrics, verdict)

    def _winners(self, whole: list[Candidate]) -> list[Candidate]:
        """Those that are retrained, of all that were scored to the end, the best first."""
        if self.settings.evolution.method == "nsga2":
            return along(front(whole, goals_of(self.budget)), self.settings.winners)
        return whole[: self.settings.winners]

    def _preset(self, space: Space) -> VisionTransformer | None:
        """The hand-made model of the space's family, where there is one within the exact limits."""
        name = {WIDE: SMALL}.get(self.space_name, self.space_name)
        if name.endswith((".py", ".json")):
            logger.info("a space of your own has no hand-made preset to compare with")
            return None
        from vitreous.analysis.cost import cost

        image, classes = space.config.image, space.config.head.classes
        size = (image.height, image.width)
        preset = catalog_config(name, image_size=size, classes=classes, channels=image.channels)
        counted = cost(preset)
        if not self.budget.allows(counted.macs, counted.parameters):
            logger.warning(
                "the hand-made preset %s has %s MACs and %s parameters, more than the budget: it is compared "
                "all the same", name, f"{counted.macs:,}", f"{counted.parameters:,}",
            )  # fmt: skip
        return preset

    def _retrained(
        self, plan: Plan, what: str, config: VisionTransformer, candidate: Candidate | None, count: int
    ) -> Retrained:
        each = None
        if self.budget_s is not None:
            share = 1 - SUPERNET - EVOLUTION - (CORRELATION if self.settings.correlate else 0)
            each = f"{share * self.budget_s / count:.1f}s"
        logger.info("retraining %s from scratch", what)
        return retrain(
            self.settings, config, what, self.folder.path, candidate=candidate,
            split_file=self.folder.path / "split.csv", epochs=self.settings.retrain_epochs, time=each,
            device=self._device(plan), precision=plan.precision,
        )  # fmt: skip

    def _worth(
        self, space: Space, plan: Plan, data: ImageData, whole: list[Candidate]
    ) -> dict[str, Agreement]:
        """How far rankings agree with a short retraining of candidates from the whole ranking."""
        begin, count = time.perf_counter(), min(self.settings.correlate, len(whole))
        places = [round(number * (len(whole) - 1) / max(1, count - 1)) for number in range(count)]
        chosen = [whole[place] for place in dict.fromkeys(places)]
        each_s = None if self.budget_s is None else f"{CORRELATION * self.budget_s / count:.1f}s"
        reached = [
            retrain(
                self.settings, space.resolve(each.genome), f"correlation {number}", self.folder.path,
                candidate=each, split_file=self.folder.path / "split.csv",
                epochs=self.settings.correlate_epochs, time=each_s, device=self._device(plan),
                precision=plan.precision,
            ).top1
            for number, each in enumerate(chosen, start=1)
        ]  # fmt: skip
        batch = next(make_train_batches(plan, data, self.settings.loading).from_step(0))
        images = plan.preprocessing.normalize(batch.images)
        proxies = [snip(space.resolve(each.genome), images, batch.labels) for each in chosen]
        self._spent("correlation", begin)
        return {
            "supernet score": agreement([each.top1 or 0.0 for each in chosen], reached),
            "MACs alone": agreement([each.macs for each in chosen], reached),
            "parameters alone": agreement([each.params for each in chosen], reached),
            "SNIP (Abdelfattah et al., ICLR 2021)": agreement(proxies, reached),
        }


def _held_out(run: Path) -> int:
    counts = json.loads((run / "data.json").read_text())
    images = counts.get("images", counts)
    return int(images.get("val", 0)) if isinstance(images, dict) else 0


def _nothing_measured(ranked: Sequence[Candidate], budget: Budget) -> str:
    best = min(ranked, key=lambda each: (each.latency_ms or 0.0, each.memory or 0))
    told = []
    if best.latency_ms is not None:
        told.append(f"{best.latency_ms:.2f} ms")
    if best.memory is not None:
        told.append(f"{best.memory / 1e6:.1f} MB")
    return (
        f"none of {len(ranked)} candidates is within {budget} on this machine; the best of them takes "
        f"{' and '.join(told)} and has {best.macs:,} MACs; a larger budget works"
    )
