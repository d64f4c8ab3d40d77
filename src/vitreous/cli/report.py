"""`vitreous report`: runs in, one page out."""

import json
from collections.abc import Sequence

from vitreous.cli.options import Verb, parse
from vitreous.insight.settings import ReportSettings

VERB = Verb(
    name="report",
    settings=ReportSettings,
    example="vitreous report runs/flowers",
    positionals=("runs",),
)


def run(words: Sequence[str]) -> int:
    """Parse, write, print the place."""
    asked = parse(VERB, words)
    settings = asked.settings
    from vitreous.insight.report import report

    path = report(
        settings.runs,
        out=settings.out,
        images=settings.images,
        only=[each.strip() for each in settings.only.split(",")] if settings.only else None,
        device=settings.device,
    )
    print(json.dumps({"page": str(path), "bytes": path.stat().st_size}) if asked.as_json else path)
    return 0
