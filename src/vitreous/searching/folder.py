"""The folder of a search: what was asked for, what was decided, and one process at a time that leads it.

config.input.yaml    settings as given                    split.csv      validation images, for retraining
search.json          state, and the result at the end     space.json     the space, as `--space` reads it
plan.json            everything decided                   supernet/      checkpoints, metrics.jsonl
ledger.sqlite        every candidate                      candidates.csv the same as a table
retrained/…          run folders of `vitreous train`      model/         the best, for `vitreous predict`
report.md, report.json, pareto.png
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import yaml

from vitreous.errors import ConfigError, ResumeMismatch
from vitreous.interop.model_card import flatten
from vitreous.redaction import redact
from vitreous.searching.lock import hold
from vitreous.searching.settings import SearchSettings
from vitreous.training.run_folder import runs_folder, write_text
from vitreous.training.world import World

INPUT, PLAN, STATE = "config.input.yaml", "plan.json", "search.json"
WITHOUT_EFFECT = (
    "out", "fresh", "storage", "worker", "supernet.save_s", "loading.workers", "devices", "timeout_s",
)  # fmt: skip
AFTERWARDS = {"compare": ("compare",), "correlate": ("correlate", "correlate_epochs")}
"""What may be asked of a search that is there, since it changes nothing that was done; with its settings."""


class SearchFolder:
    """An open folder.

    Args:
        settings: as given.
        leads: whether this process leads the search and writes; a worker does not, and of several processes
            the first does.

    Raises:
        ConfigError: it holds something else, or another process leads this search.
        ResumeMismatch: it holds a search with other settings; lists them.
    """

    def __init__(self, settings: SearchSettings, *, leads: bool = True) -> None:
        self.path = place_of(settings)
        self.leads = leads and not settings.worker
        self._held: TextIO | None = None
        if not leads:
            return
        if settings.worker:
            if not (self.path / INPUT).exists():
                raise ConfigError(
                    f"--worker: {self.path} holds no search to help with; start one there without it first, "
                    "or on a machine that does not see its folder, give a copy of it and the --storage of "
                    "the search"
                )
            # where the data are may differ on another machine; that they are the same ones is looked at later
            self._compare(settings, (*WITHOUT_EFFECT, "data"))
            if settings.storage is None and not self.led:
                raise ConfigError(
                    f"--worker: no process leads a search in {self.path}; start it without --worker first, "
                    "or where this is a copy of its folder, give the --storage of the search"
                )
            return
        more: list[str] = []
        if self.path.is_dir() and any(self.path.iterdir()):
            if not (self.path / INPUT).exists():
                raise ConfigError(
                    f"--out {self.path} holds something that is not a search; give a name that does not exist"
                )
            if settings.fresh:
                aside = self.path.with_name(f"{self.path.name}.{datetime.now():%y%m%d-%H%M%S}")
                self.path.rename(aside)
            else:
                more = _asked_afterwards(self._input, settings)
                self._compare(settings, (*WITHOUT_EFFECT, *more))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {self.path} cannot be written: {error.strerror}") from None
        self._held = hold(self.path / ".lock")
        if self._held is None:
            raise ConfigError(
                f"{self.path}: another process leads this search; --worker helps it, or give another --out"
            )
        if more and self.state.get("phase") == "finished":
            self.note("retraining")  # first: killed in between, it still knows that it is not finished
        if more or not (self.path / INPUT).exists():
            write_text(self.path / INPUT, _as_yaml(settings))

    @property
    def plan(self) -> dict[str, Any]:
        """What was decided so far, {} before anything was."""
        return _read(self.path / PLAN)

    def decide(self, **values: Any) -> dict[str, Any]:
        """Add to what was decided, for good, where this process leads; returns all of it."""
        if not self.leads:
            return self.plan
        plan = self.plan | values
        write_text(self.path / PLAN, json.dumps(plan, indent=1) + "\n")
        return plan

    @property
    def led(self) -> bool:
        """Whether a process leads a search in this folder right now."""
        held = hold(self.path / ".lock")
        if held is not None:
            held.close()
        return held is None

    @property
    def state(self) -> dict[str, Any]:
        """How far the search is: `phase`, and at the end its `result`."""
        return _read(self.path / STATE)

    def note(self, phase: str, **facts: Any) -> None:
        """Write how far it is, where this process leads."""
        if not self.leads:
            return
        write_text(self.path / STATE, json.dumps({"phase": phase, **facts}, indent=1) + "\n")

    def discard(self) -> None:
        """Take the folder away again where nothing was decided yet: a mistake would stand in the way."""
        if self._held is None or self.plan:
            return
        for name in (INPUT, STATE, ".lock", "split.csv", "space.json"):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / "processes", ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def close(self) -> None:
        """Let go of the lock."""
        if self._held is not None:
            self._held.close()

    @property
    def _input(self) -> dict[str, Any]:
        """The settings of the search that is there."""
        found: dict[str, Any] = yaml.safe_load((self.path / INPUT).read_text())
        return found

    def _compare(self, settings: SearchSettings, without: Sequence[str] = WITHOUT_EFFECT) -> None:
        changed = list(_differences(self._input, settings, without))
        if changed:
            raise ResumeMismatch(
                f"{self.path} belongs to a search with other settings ({'; '.join(changed)}); repeat its "
                "command to continue it, give another --out, or --fresh to start over and keep the old aside"
            )


def enter_search_folder(settings: SearchSettings, world: World) -> SearchFolder:
    """The folder, which the first of several processes leads, and the same one for the others."""
    if world.alone:
        return SearchFolder(settings)
    opened: list[SearchFolder] = []

    def enter() -> str:
        opened.append(SearchFolder(settings))
        return str(opened[0].path.absolute())

    path = world.by_first(enter)
    return opened[0] if opened else SearchFolder(dataclasses.replace(settings, out=path), leads=False)


def place_of(settings: SearchSettings) -> Path:
    """Where a search is: `out`, or a name that its settings make, so that the same command finds it again."""
    return Path(settings.out) if settings.out else _named(settings)


def _asked_afterwards(kept: dict[str, Any], settings: SearchSettings) -> list[str]:
    """Settings that a search gets now and did not have; none with `time`, which was shared without them."""
    if settings.time is not None:
        return []
    added = (each for each in AFTERWARDS if getattr(settings, each) and not kept.get(each))
    return [setting for each in added for setting in AFTERWARDS[each]]


def _differences(kept: dict[str, Any], settings: SearchSettings, without: Sequence[str]) -> Iterator[str]:
    usual = flatten(yaml.safe_load(_as_yaml(SearchSettings())))
    old, new = usual | flatten(kept), flatten(yaml.safe_load(_as_yaml(settings)))
    for key in sorted(old.keys() | new.keys()):
        if key not in without and old.get(key) != new.get(key):
            yield f"{key}: {old.get(key)!r} → {new.get(key)!r}"


def _named(settings: SearchSettings) -> Path:
    values = flatten(yaml.safe_load(_as_yaml(settings)))
    kept = {key: value for key, value in values.items() if key not in WITHOUT_EFFECT}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:6]
    data = Path(settings.data[0].rstrip("/").split(":")[-1]).stem if settings.data else "data"
    space = "" if settings.space == "auto" else f"-{Path(settings.space).stem}"
    name = f"search{space}-{data}-{digest}"
    return runs_folder() / redact("".join(each if each.isalnum() or each in "_-." else "_" for each in name))


def _as_yaml(settings: SearchSettings) -> str:
    plain = json.loads(json.dumps(dataclasses.asdict(settings) | {"storage": None}))  # it may hold a password
    return redact(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
