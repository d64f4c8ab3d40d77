"""The ledger of a search: under which name it is kept, and what must be equal for its scores to compare."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

import torch

from vitreous.data.images import ImageData
from vitreous.searching.folder import SearchFolder
from vitreous.searching.ledger import Ledger
from vitreous.searching.settings import SearchSettings
from vitreous.searching.space import Space


def open_ledger(settings: SearchSettings, folder: SearchFolder, identity: Mapping[str, Any]) -> Ledger:
    """The ledger, made where it is not there and this is no worker; raises what `Ledger` raises."""
    # a copy of the folder may have another name
    name = "search" if settings.storage is None else folder.plan.get("study", study_of(folder))
    return Ledger(folder.path, settings.storage, identity, name=name, join=settings.worker)


def study_of(folder: SearchFolder) -> str:
    """What the ledger of a new search is called in a database that others share."""
    return f"vitreous-{folder.path.name}"


def identity_of(settings: SearchSettings, space: Space, data: ImageData, budget: str) -> dict[str, Any]:
    """What is known before the supernet is trained; its weights are the rest."""
    described = json.dumps(space.to_json(), sort_keys=True)
    return {
        "space": f"{space.name} {hashlib.sha256(described.encode()).hexdigest()[:12]}",
        "data": data.fingerprint[:16],
        "budget": budget,
        "seed": settings.seed,
        "vitreous": importlib.metadata.version("vitreous"),
        "torch": torch.__version__,
    }
