"""The folder of a run: who owns it, what was asked, what state it is in.

Typing the same command again continues: the settings as given are kept in `config.input.yaml` and compared.
Settings that cannot change the result (`WITHOUT_EFFECT`) may differ. One process at a time: a lock on
`.lock` that the operating system lets go of when the process ends, however it ends.
"""

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import yaml

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.interop.model_card import flatten
from vitreous.redaction import redact
from vitreous.training.checkpoint import write_synced
from vitreous.training.settings import TrainSettings
from vitreous.training.world import World
from vitreous.wording import first_few

INPUT = "config.input.yaml"
STATE = "run.json"
WITHOUT_EFFECT = (
    "out", "fresh", "reference", "log", "saving.every_s", "saving.keep", "saving.in_parts", "loading.workers",
    "devices", "sharding", "timeout_s", "probes", "probing.every", "probing.images",
)  # fmt: skip
logger = logging.getLogger("vitreous")


class RunFolder:
    """An open, locked run folder.

    Args:
        path: the folder.
        settings: as given.
        continuing: whether it held this run already.
        owner: whether this process writes it; of several processes only the first does.
    """

    def __init__(self, path: Path, settings: TrainSettings, *, continuing: bool, owner: bool = True) -> None:
        self.path = path
        self.settings = settings
        self.continuing = continuing
        self.owner = owner
        self._lock: TextIO | None = None
        if not owner:
            self.state: dict[str, Any] = read_state(path) if continuing else {}
            return
        self._made_here = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}; give another --out") from None
        self.state = read_state(path) if continuing else {}
        if not continuing:
            write_text(path / INPUT, as_yaml(settings))

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are."""
        return self.path / "checkpoints"

    @property
    def finished(self) -> bool:
        """Whether the run reached its end and its model is there."""
        return self.state.get("state") == "finished" and (self.path / "model" / "config.json").exists()

    def start(self) -> None:
        """Note in `run.json` that the run is going."""
        starts = [*self.state.get("starts", []), _now()]
        self.state = {
            "state": "running",
            "exit_code": None,
            "argv": sys.argv,
            "python": "vitreous.train" if not sys.argv[0].endswith(("vitreous", "__main__.py")) else None,
            **_git(),
            "starts": starts,
            "start": starts[0],
            "end": None,
            "best": self.state.get("best"),
        }
        self._write_state()

    def end(
        self,
        state: Literal["finished", "interrupted", "failed"],
        *,
        exit_code: int,
        message: str | None = None,
        **facts: Any,
    ) -> None:
        """Note in `run.json` how it ended."""
        self.state |= {"state": state, "exit_code": exit_code, "message": message, "end": _now(), **facts}
        self._write_state()

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file of the run, without secrets."""
        if not self.owner:
            return
        write_text(self.path / name, json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n")

    def discard(self) -> None:
        """Take a new folder away again; what was there before stays."""
        if self.continuing or not self.owner:
            return
        for each in self.path.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink()
        if self._made_here:
            self.path.rmdir()

    def close(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            self._lock.close()

    def _write_state(self) -> None:
        self.write_json(STATE, self.state)


def enter_run_folder(settings: TrainSettings, world: World) -> RunFolder:
    """`open_run_folder` by the first process, which owns it, and the same folder for the others."""
    if world.alone:
        return open_run_folder(settings)
    opened: list[RunFolder] = []

    def enter() -> tuple[Path, bool]:
        opened.append(open_run_folder(settings))
        return opened[0].path.absolute(), opened[0].continuing

    path, continuing = world.by_first(enter)
    return opened[0] if opened else RunFolder(path, settings, continuing=continuing, owner=False)


def place_of(settings: TrainSettings) -> Path:
    """Where `open_run_folder` goes: `out`, the newest unfinished run with these settings, or a new name."""
    if settings.out is not None:
        return Path(settings.out)
    earlier = None if settings.fresh else _newest_unfinished(settings)
    return earlier or _new_path(settings)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run belongs.

    Args:
        path: its folder.
        continuing: whether the run is there already.
        aside: new name of the run that `fresh` moves away, None where none is moved.
    """

    path: Path
    continuing: bool = False
    aside: Path | None = None


def open_run_folder(settings: TrainSettings) -> RunFolder:
    """The folder that this run belongs into: the one it was started in, or a new one.

    Raises:
        ConfigError: `out` holds something else, or another process is training there.
        ResumeMismatch: `out` holds a run with other settings; the message lists them.
    """
    place = find_place(settings)
    if place.aside is not None:
        with _lock(place.path):  # not under the feet of a process that trains there
            place.path.rename(place.aside)
        logger.info("--fresh: the earlier run is now %s", place.aside)
    if place.continuing and settings.out is None:
        logger.info("continuing the newest unfinished run with these settings: %s", place.path)
    return RunFolder(place.path, settings, continuing=place.continuing)


def find_place(settings: TrainSettings) -> Place:
    """What `open_run_folder` will open; nothing is touched.

    Raises:
        ConfigError: `out` holds something else.
        ResumeMismatch: `out` holds a run with other settings; the message lists them.
    """
    path = place_of(settings)
    if settings.out is None:
        return Place(path, continuing=path.exists())
    if path.exists() and not path.is_dir():
        raise ConfigError(f"--out {path} is a file; give a folder, or a name that does not exist yet")
    if not path.exists() or all(each.name == ".lock" for each in path.iterdir()):
        return Place(path)
    if not (path / INPUT).exists():
        names = sorted(each.name for each in path.iterdir())
        raise ConfigError(
            f"--out {path} holds something that is not a vitreous run ({first_few(names)}); "
            "give a name that does not exist yet"
        )
    if settings.fresh:
        return Place(path, aside=path.with_name(f"{path.name}.{datetime.now():%y%m%d-%H%M%S}"))
    changed = list(differences(path, settings))
    if changed:
        raise ResumeMismatch(
            f"{path} belongs to a run with other settings ({'; '.join(changed)}); repeat its command to "
            "continue it, give another --out, or --fresh to start over and keep the old folder aside"
        )
    return Place(path, continuing=True)


def in_use(path: Path) -> bool:
    """Whether a process is training in a folder right now."""
    if not (path / ".lock").exists():
        return False
    try:
        _lock(path).close()
    except (ConfigError, OSError):
        return True
    return False


def differences(path: Path, settings: TrainSettings) -> Iterator[str]:
    """Settings of a run folder that are not those given now, as `key: old → new`.

    A setting that the folder does not know came later than the run, and its default is what was done then.
    """
    usual = flatten(yaml.safe_load(as_yaml(TrainSettings())))
    old = usual | flatten(_read_yaml(path / INPUT))
    new = flatten(yaml.safe_load(as_yaml(settings)))
    for key in sorted(old.keys() | new.keys()):
        if key not in WITHOUT_EFFECT and old.get(key) != new.get(key):
            yield f"{key}: {_spell(old, key)} → {_spell(new, key)}"


def as_yaml(settings: TrainSettings) -> str:
    """Settings as a config file, without secrets."""
    plain = json.loads(json.dumps(dataclasses.asdict(settings)))  # tuples become lists
    return redact(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def read_state(path: Path) -> dict[str, Any]:
    """`run.json` of a folder, empty where it is missing or was never finished writing."""
    try:
        state = json.loads((path / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def write_text(path: Path, text: str) -> None:
    """Write a file at once or not at all, without secrets."""
    temporary = path.with_name(f".{path.name}.writing")
    write_synced(temporary, redact(text).encode())
    temporary.replace(path)


def runs_folder() -> Path:
    """Where runs go that were given no `out`."""
    return Path(os.environ.get("VITREOUS_RUNS") or "runs")


def _newest_unfinished(settings: TrainSettings) -> Path | None:
    found = []
    for candidate in runs_folder().glob(f"*/{INPUT}"):
        state = read_state(candidate.parent)
        if state.get("state") != "finished" and not any(differences(candidate.parent, settings)):
            found.append((state.get("start") or "", candidate.parent))
    return max(found)[1] if found else None


def _new_path(settings: TrainSettings) -> Path:
    model = "model" if settings.model.lstrip().startswith("{") else Path(settings.model).stem
    first = settings.data[0].rstrip("/").split("://")[-1].removeprefix("wds:").removeprefix("hf:")
    data = (
        Path(first).name if not any(each in first for each in "*?[{") else Path(first).parent.name or "shards"
    )
    name = "".join(each if each.isalnum() or each in "_-." else "_" for each in f"{model}-{Path(data).stem}")
    path = runs_folder() / f"{redact(name)}-{datetime.now():%y%m%d-%H%M%S}"
    free, number = path, 2
    while free.exists():  # two runs within a second
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def _lock(path: Path) -> TextIO:
    file = (path / ".lock").open("a")
    try:
        import fcntl
    except ImportError:  # not on Windows; there the run folder is unguarded
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigError(
            f"{path}: another process is training in this folder; wait for it, stop it, or give another --out"
        ) from None
    return file


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {redact(str(error)).splitlines()[0]}") from None
    return values if isinstance(values, Mapping) else {}


def _spell(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "absent"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git() -> dict[str, Any]:
    """Commit of the working directory, where it is a repository."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, timeout=5, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {"git": None, "git_dirty": None}
    return {"git": commit, "git_dirty": bool(changes.strip())}
