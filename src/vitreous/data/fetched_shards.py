"""Shards that lie elsewhere: `wds:https://…`, `gs://…` or `pipe:COMMAND` are fetched once into the cache.

Read in place, a shard comes in sequence only, and neither a true shuffle nor continuing at the sample is
possible; on the disk of this machine it is like any other. webdataset opens the address (`gopen`: curl,
gsutil, or the command). A shard is whole or not there, so an interrupted fetch goes on where it stopped.
"""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from vitreous.data.cache import cache_folder, content_key, write_atomically
from vitreous.data.progress import counted
from vitreous.errors import ConfigError, DataError

logger = logging.getLogger("vitreous")
PIPE = "pipe:"
CHUNK_BYTES = 1 << 20


def is_elsewhere(shard: str) -> bool:
    """Whether a shard is an address or a command, and no path."""
    return shard.startswith(PIPE) or "://" in shard


def fetched(shards: Sequence[str], *, download: bool) -> list[Path]:
    """Where the shards lie on this machine, after fetching those that were not there.

    Args:
        shards: addresses, or commands that write a tar after `pipe:`.
        download: whether the network may be used.

    Raises:
        ConfigError: some are not there and may not be fetched.
        DataError: one cannot be fetched, or has no name that ends with .tar.
    """
    places = [_place(shard) for shard in shards]
    absent = [(shard, place) for shard, place in zip(shards, places, strict=True) if not place.is_file()]
    if not absent:
        return places
    if not download:
        raise ConfigError(
            f"{len(absent)} of {len(shards)} shards such as {absent[0][1].name} are not on this machine; "
            "--loading.download fetches them into the cache"
        )
    if os.environ.get("VITREOUS_OFFLINE") == "1":
        raise ConfigError("--loading.download while VITREOUS_OFFLINE is 1; unset one of the two")
    logger.info("fetching %d shards into %s", len(absent), cache_folder() / "shards")
    for shard, place in counted(absent, len(absent), "fetching shards"):
        _fetch(shard, place)
    return places


def _place(shard: str) -> Path:
    """Its file in the cache, with its own name and that of its folder, which tell the split."""
    words = [word for word in re.split(r"[\s?#'\"]+", shard) if word.endswith(".tar")]
    if not words:
        raise DataError(f"{shard.split('?')[0]}: no name that ends with .tar, so nobody knows its split")
    *_, folder, name = ("/" + words[0]).split("/")
    return cache_folder() / "shards" / content_key([shard]) / (folder or "shards") / name


def _fetch(shard: str, place: Path) -> None:
    from webdataset.gopen import gopen

    def write(target: Path) -> None:
        with gopen(shard) as stream, target.open("wb") as file:
            shutil.copyfileobj(stream, file, CHUNK_BYTES)

    try:
        write_atomically(place, write)
    except Exception as error:  # whatever the reader of this kind of address raises; it may repeat secrets
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise DataError(f"{place.name}: cannot be fetched ({reason}); try its address by hand") from error
