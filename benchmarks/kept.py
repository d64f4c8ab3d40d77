"""Where results are kept: `results/NAME.md` for readers, `results/NAME.json` with every number.

Long programs are run in pieces: what a piece found stands in a file beside its run, and is not measured
again.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def keep(name: str, text: str, record: dict[str, Any]) -> Path:
    """Write both files; returns their path without an ending, for pictures beside them."""
    kept = Path(__file__).parent / "results" / name
    kept.with_suffix(".md").write_text(text)
    kept.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return kept


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
