"""A search that takes seconds: the tiny PSViT space on 120 handwritten digits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.searching.spaces import tiny_psvit
from tests.training.conftest import one_thread
from vitreous.searching.search import SearchResult, search

__all__ = ["one_thread"]


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, Any]:
    """Arguments of a tiny search into `tmp_path/search`."""
    space = tmp_path / "space.json"
    space.write_text(json.dumps(tiny_psvit(depth=6).to_json()))
    return {
        "data": "digits",
        "space": str(space),
        "out": str(tmp_path / "search"),
        "batch_size": 24,
        "precision": "float32",
        "device": "cpu",
        "winners": 1,
        "retrain_epochs": 1,
        "supernet": {"epochs": 2},
        "evolution": {"population": 4, "parents": 2, "crossover": 2, "mutation": 1, "generations": 2},
        "recipe": {"ema": False},
        "loading": {"limit": 120},
    }


@pytest.fixture
def tiny_search(tiny: dict[str, Any]) -> Callable[..., SearchResult]:
    """Run a tiny search with some arguments changed."""
    return lambda **changed: search(**(tiny | changed))
