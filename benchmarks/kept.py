"""Where results are kept: `results/NAME.md` for readers, `results/NAME.json` with every number.

Long programs are run in pieces: what a piece found stands in a file beside its run, and is not measured
again.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any


def keep(name: str, text: str, record: dict[str, Any]) -> Path:
    """Write both files; returns their path without an ending, for pictures beside them."""
    kept = Path(__file__).parent / "results" / name
    kept.with_suffix(".md").write_text(text)
    kept.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return kept


def tell(text: str, record: dict[str, Any], name: str | None) -> None:
    """Print a result, its numbers as one JSON object on the last line; keep both where a name is given."""
    print(f"\n{text}")
    if name:
        keep(name, text, record)
    print(json.dumps(record))


def kept_before(name: str | None, same: dict[str, Any], what: str = "runs") -> list[dict[str, Any]]:
    """The runs that `results/NAME.json` holds already; seeds of one table may be measured on several days.

    Args:
        name: of the result; none is kept for None.
        same: keys of the record that have to agree.
        what: `runs`, or another list of the record.

    Raises:
        SystemExit: the result is about something else.
    """
    file = Path(__file__).parent / "results" / f"{name}.json"
    if name is None or not file.exists():
        return []
    record = json.loads(file.read_text())
    kept = {key: record.get(key) for key in same}
    if kept != same:
        sys.exit(f"{file} holds {kept} and this asks for {same}; another --keep works")
    return list(record[what])


def once(file: Path, asked: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` finds, or found when it was last called for this file.

    Args:
        file: where it is kept.
        asked: what decides the outcome: data, length and the like.
        measure: called where the file is not there.

    Raises:
        SystemExit: the file was measured for something else.
    """
    if file.exists():
        kept = json.loads(file.read_text())
        if kept["asked"] != asked:
            sys.exit(
                f"{file} was measured for {kept['asked']} and this asks for {asked}; another --out works"
            )
        return dict(kept["found"])
    found = measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"asked": asked, "found": found}, indent=1) + "\n")
    return found


def in_pieces(
    rows: Sequence[str],
    seeds: Sequence[int],
    folder: str,
    asked: dict[str, Any],
    measure: Callable[[str, int], dict[str, Any]],
) -> list[dict[str, Any]]:
    """What `measure` finds for every row with every seed, kept in FOLDER/ROW-SEED.found.json and printed."""
    found = []
    for seed in seeds:
        for row in rows:
            file = Path(folder) / f"{row.replace(' ', '_')}-{seed}.found.json"
            found.append(once(file, asked, partial(measure, row, seed)))
            brief = {key: value for key, value in found[-1].items() if not isinstance(value, list)}
            print(json.dumps(brief), flush=True)
    return found
