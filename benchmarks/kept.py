"""Where results are kept: `results/NAME.md` for readers, `results/NAME.json` with every number."""

import json
from pathlib import Path
from typing import Any


def keep(name: str, text: str, record: dict[str, Any]) -> Path:
    """Write both files; returns their path without an ending, for pictures beside them."""
    kept = Path(__file__).parent / "results" / name
    kept.with_suffix(".md").write_text(text)
    kept.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return kept
