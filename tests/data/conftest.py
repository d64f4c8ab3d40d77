"""Every test has its own cache folder, so that nothing is left over from another."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("VITREOUS_HOME", str(folder))
    return folder
