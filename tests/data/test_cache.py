from pathlib import Path

import pytest

from vitreous.data.cache import cache_folder, content_key, write_atomically


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "home"
    monkeypatch.delenv("VITREOUS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "vitreous"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "kept"
    write_atomically(file, lambda path: path.write_text("old") and None)

    def breaks(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, breaks)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert file.read_text() == "old"


def test_keys_tell_their_parts_apart():
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])
    assert content_key(["a"]) == content_key(["a"])
