"""`devices: 2`: the same search in two processes of this machine, which `training/launch.py` starts."""

import dataclasses
import sys
from pathlib import Path

from vitreous.searching.folder import place_of
from vitreous.searching.settings import SearchSettings
from vitreous.training.launch import in_processes, work


def search_in_processes(settings: SearchSettings) -> Path:
    """Search in `settings.devices` processes and wait for them; the folder of the search.

    Raises:
        VitreousError: what the first process that failed said.
    """
    place = place_of(settings)
    given = dataclasses.replace(settings, out=str(place), devices=1)
    in_processes("vitreous.searching.launch", given, settings.devices, told=lambda: None)
    return place


if __name__ == "__main__":
    from vitreous.searching.search import search

    sys.exit(work(Path(sys.argv[1]), lambda settings: search(settings=settings)))
