"""The ledger: every candidate that was looked at, in a database of Optuna's, so that nothing is scored twice.

A candidate is a trial with its genome, costs, score, seconds and seed: enough to make it again. Any process
may score: to claim a candidate a process writes a running trial, and of several with one genome the first
counts, which the database decides by its order. A claim whose process is gone is given up. Two things tell:

    in the same folder    each process holds a lock that the operating system lets go of when it ends, however
    with `storage`        each process sends signs of life into the database while it scores (`heartbeat.py`);
                          a claim without one for a minute is given up, on machines that share nothing else

By default the database is a SQLite file in the folder; any address that SQLAlchemy takes works, with its
password in the environment (`VITREOUS_SEARCH__STORAGE`). It is never written down.
"""

import contextlib
import json
import logging
import time
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.redaction import redact
from vitreous.searching.heartbeat import Heartbeat
from vitreous.searching.lock import hold
from vitreous.searching.space import Genome

logger = logging.getLogger("vitreous")
POLL_S = 0.2
ALIVE_S, GONE_S = 15, 60
LOCKED_S = 60  # that another process may take to write into a SQLite file


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A line of the ledger.

    Args:
        genome: canonical.
        macs, params: exact.
        top1: on the choice images, for ranking only; None where a measured limit is passed.
        images: that the score is over.
        stopped: whether scoring ended early, since the candidate was hopeless.
        seconds: that scoring took.
        latency_ms, memory: measured, where the budget asks for them.
        generation: in which it was found, from 0.
        origin: `random`, `crossover`, `mutation` or `baseline`.
        seed: of the search.
    """

    genome: Genome
    macs: int
    params: int
    top1: float | None
    images: int = 0
    stopped: bool = False
    seconds: float = 0.0
    latency_ms: float | None = None
    memory: int | None = None
    generation: int = 0
    origin: str = "random"
    seed: int = 0

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the best last: whole scores above those of stopped candidates."""
        return (self.top1 is not None and not self.stopped, -1.0 if self.top1 is None else self.top1)


class Ledger:
    """The candidates of one search.

    Args:
        folder: of the search.
        storage: address of a database; None for a SQLite file in the folder.
        identity: what must be equal for a ledger to be continued: name to value.
        name: of the study in the database.
        join: whether the ledger has to be there, as for a worker.

    Raises:
        ConfigError: Optuna is missing, the database cannot be reached, or it has no such ledger.
        ResumeMismatch: the ledger is of another space, data set or version; names the difference.
    """

    def __init__(
        self,
        folder: Path,
        storage: str | None,
        identity: Mapping[str, Any],
        *,
        name: str = "search",
        join: bool = False,
    ) -> None:
        self._optuna = optuna = import_optuna()
        self._processes = folder / "processes"
        self._processes.mkdir(parents=True, exist_ok=True)
        self._token = uuid.uuid4().hex
        self._held: TextIO | None = hold(self._processes / f"{self._token}.lock")
        if self._held is not None:  # a copy of the file elsewhere says nothing of this process
            self._held.write(_file_id(Path(self._held.name)))
            self._held.flush()
        self._heartbeat: Heartbeat | None = None
        self._noticed: set[int] = set()
        self._database: Any = None
        address = storage or f"sqlite:///{(folder / 'ledger.sqlite').absolute()}"
        try:
            self._database = database = _database(optuna, address, signs_of_life=storage is not None)
            if storage is not None:
                self._heartbeat = Heartbeat(database.record_heartbeat, ALIVE_S)
            if join:
                self._study = optuna.load_study(study_name=name, storage=database)
            else:
                self._study = optuna.create_study(
                    study_name=name,
                    storage=database,
                    directions=["maximize", "minimize"],
                    load_if_exists=True,
                )
            self._storage = self._study._storage
        except KeyError:
            self.close()
            raise ConfigError(
                f"--worker: the database {redact(address)} holds no search called {name}; it is the one that "
                "the first process was given as --storage"
            ) from None
        except Exception as error:  # whatever the database's driver raises
            self.close()
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(
                f"--storage {redact(address)} cannot be used: {redact(reason)}; a running database with its "
                "driver installed works, or no --storage for a file in the folder"
            ) from None
        self._check(identity)
        self._known: dict[Genome, Candidate] = {}
        self._seen: set[int] = set()
        self._fail_abandoned()

    def _check(self, identity: Mapping[str, Any]) -> None:
        wanted = json.loads(json.dumps(dict(identity)))
        kept = self._study.user_attrs.get("identity", {})
        changed = [
            f"{key}: {kept[key]!r} → {wanted[key]!r}"
            for key in sorted(wanted)
            if key in kept and kept[key] != wanted[key]
        ]
        if changed:
            self.close()
            raise ResumeMismatch(
                f"the ledger is of another search ({'; '.join(changed)}); its scores do not compare. Give "
                "another --out (and --storage), or --fresh to keep the old one aside"
            )
        if any(key not in kept for key in wanted):
            self._study.set_user_attr("identity", kept | wanted)

    def candidate(self, genome: Genome) -> Candidate | None:
        """What is known of a genome, None where it was not scored yet."""
        if genome not in self._known:
            self._read()
        return self._known.get(genome)

    def all(self) -> list[Candidate]:
        """Every scored candidate, in the order of the ledger."""
        self._read()
        return list(self._known.values())

    def claim(self, genome: Genome) -> int | None:
        """A number to finish with, or None where another process scores this genome or has."""
        trials = self._optuna.trial
        claimed = trials.create_trial(
            state=trials.TrialState.RUNNING, user_attrs={"genome": spelled(genome), "process": self._token}
        )
        trial_id = self._storage.create_new_trial(self._study._study_id, template_trial=claimed)
        number = self._storage.get_trial_number_from_id(trial_id)
        others = [
            each.number
            for each in self._trials()
            if each.user_attrs.get("genome") == spelled(genome) and each.state != trials.TrialState.FAIL
        ]
        if number == min(others, default=number):
            if self._heartbeat is not None:
                self._heartbeat.begin(trial_id)
            return int(number)
        self._study.tell(number, state=trials.TrialState.FAIL)
        return None

    def finish(self, number: int, candidate: Candidate) -> None:
        """Write down what was seen of a claimed candidate, unless the claim was given up meanwhile."""
        if self._heartbeat is not None:
            self._heartbeat.end()
        line = asdict(candidate) | {"genome": spelled(candidate.genome)}
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        values = [-1.0 if candidate.top1 is None or candidate.stopped else candidate.top1, candidate.macs]
        with contextlib.suppress(self._optuna.exceptions.UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(trial_id, "line", line)
            told = self._study.tell(number, values, skip_if_finished=True)
            if told.state == self._optuna.trial.TrialState.COMPLETE:
                self._known[candidate.genome] = candidate
                return
        logger.warning(
            "this process gave no sign of life while it scored %s, which was given up: it is looked at again",
            spelled(candidate.genome),
        )

    def give_up(self, number: int) -> None:
        """Let others score a claimed candidate."""
        if self._heartbeat is not None:
            self._heartbeat.end()
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def wait(self, genomes: Sequence[Genome]) -> Iterator[Genome]:
        """The genomes among these that nobody has scored and nobody is scoring, until all are scored."""
        while True:
            self._read()
            missing = [each for each in genomes if each not in self._known]
            if not missing:
                return
            self._fail_abandoned()
            running = {
                each.user_attrs.get("genome")
                for each in self._trials()
                if each.state == self._optuna.trial.TrialState.RUNNING
            }
            free = [each for each in missing if spelled(each) not in running]
            if free:
                yield free[0]
            else:
                time.sleep(POLL_S)

    def close(self) -> None:
        """Let go of this process's lock and of the database."""
        if self._heartbeat is not None:
            self._heartbeat.close()
        if self._database is not None:
            self._database.remove_session()
            self._database.engine.dispose()
        if self._held is not None:
            self._held.close()
            self._held = None
            (self._processes / f"{self._token}.lock").unlink(missing_ok=True)

    def _trials(self) -> Sequence[Any]:
        trials: Sequence[Any] = self._study.get_trials(deepcopy=False)
        return trials

    def _read(self) -> None:
        state = self._optuna.trial.TrialState.COMPLETE
        for each in self._study.get_trials(deepcopy=False, states=(state,)):
            if each.number not in self._seen:
                found = _candidate(each.user_attrs)
                self._known.setdefault(found.genome, found)
                self._seen.add(each.number)

    def _fail_abandoned(self) -> None:
        """Give up the claims of processes that are gone."""
        state = self._optuna.trial.TrialState
        claims: dict[str, list[int]] = {}
        for each in self._trials():
            if each.state == state.RUNNING:
                token = str(each.user_attrs.get("process"))
                claims.setdefault(token, []).append(each.number)
                if token != self._token:
                    self._notice(each._trial_id)
        for token, numbers in claims.items():
            if token != self._token and self._gone(token):
                for number in numbers:
                    with contextlib.suppress(Exception):  # another process was faster
                        self._study.tell(number, state=state.FAIL)
        if self._heartbeat is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
                self._optuna.storages.fail_stale_trials(self._study)

    def _notice(self, trial_id: int) -> None:
        """Count from now what another process claimed: it may never have given a sign of life."""
        if self._heartbeat is not None and trial_id not in self._noticed:
            self._noticed.add(trial_id)
            self._heartbeat.send(trial_id)

    def _gone(self, token: str) -> bool:
        """Whether a process has ended, as far as this folder knows; of those elsewhere it knows nothing."""
        file = self._processes / f"{token}.lock"
        try:
            if file.read_text() != _file_id(file):
                return False
        except OSError:
            return self._heartbeat is None
        held = hold(file)
        if held is None:
            return False
        held.close()
        file.unlink(missing_ok=True)
        return True


def import_optuna() -> Any:
    """Optuna, silent; raises ConfigError where it is missing."""
    try:
        import optuna
    except ImportError:
        raise ConfigError("search keeps its ledger with Optuna: pip install 'vitreous[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def spelled(genome: Genome) -> str:
    """A genome as text: `4,8,0,1,0`."""
    return ",".join(map(str, genome))


def read_genome(text: str) -> Genome:
    """Inverse of `spelled`; raises ConfigError where it is none."""
    try:
        return tuple(int(each) for each in text.split(","))
    except ValueError:
        raise ConfigError(f"{text!r} is no genome; whole numbers with commas between are") from None


def _file_id(file: Path) -> str:
    return str(file.stat().st_ino)


def _database(optuna: Any, address: str, *, signs_of_life: bool) -> Any:
    """Optuna's storage behind an address."""
    options: dict[str, Any] = {"pool_pre_ping": True}
    if address.startswith("sqlite"):
        options = {"connect_args": {"timeout": LOCKED_S}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            address,
            engine_kwargs=options,
            heartbeat_interval=ALIVE_S if signs_of_life else None,
            grace_period=GONE_S if signs_of_life else None,
        )


def _candidate(attributes: Mapping[str, Any]) -> Candidate:
    line = dict(attributes["line"])
    return Candidate(**line | {"genome": read_genome(line["genome"])})
