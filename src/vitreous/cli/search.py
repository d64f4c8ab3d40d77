"""`vitreous search`: settings in, the path of the model that was found out."""

import json
import time
from collections.abc import Sequence

from vitreous.cli.options import Verb, parse
from vitreous.searching.settings import SearchSettings
from vitreous.training.processes import this_process

VERB = Verb(
    name="search",
    settings=SearchSettings,
    example="vitreous search --data FOLDER --space psvit_2d_tiny --budget macs=0.6G,params=6M --time 2h",
    config_files=True,
)


def run(words: Sequence[str]) -> int:
    """Parse, search, print."""
    begun = time.perf_counter()
    asked = parse(VERB, words)
    if asked.print_config:
        from vitreous.cli.printed_config import as_json, as_yaml

        print(as_json(asked) if asked.as_json else as_yaml(asked), end="")
        return 0
    from vitreous.searching.check_settings import check_settings

    check_settings(asked.settings)
    from vitreous.searching.search import search

    result = search(settings=asked.settings, begun=begun)
    if not this_process().first:  # of several processes the first one tells
        return 0
    if asked.as_json:
        told = {
            "folder": str(result.folder),
            "model_dir": str(result.model_dir),
            "genome": list(result.genome),
            "metrics": result.metrics,
            "verdict": result.verdict,
        }
        print(json.dumps(told))
    else:
        print(result.model_dir)
    if not asked.settings.worker:
        from vitreous.insight.search_page import search_page

        search_page(result.folder)
    return 0
