"""A search that takes seconds: the tiny PSViT space on 120 handwritten digits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.searching.spaces import tiny_psvit
from vitreous.searching.search import SearchResult, search


@pytest.fixture(autouse=True)
def one_thread(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Small sums are fastest on one thread; caches and runs go to a temporary folder."""
    monkeypatch.setenv("VITREOUS_HOME", str(tmp_path_factory.getbasetemp() / "vitreous-home"))
    monkeypatch.setenv("VITREOUS_RUNS", str(tmp_path_factory.mktemp("runs")))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
