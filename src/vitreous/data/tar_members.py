"""The members of a tar file, by one pass over its headers: names and places, no contents.

A member is a header of 512 bytes and its content, filled up to 512. Headers of plain files are read here
(Python's `tarfile` takes ten times as long, minutes for a million images); whatever else a tar may hold,
extensions that change a name or a size, links, a damaged header, is left to `tarfile`.
Source: POSIX.1-2001 `ustar` and `pax`, the fields name, size, checksum, typeflag, magic and prefix.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vitreous.errors import DataError

BLOCK = tarfile.BLOCKSIZE
BUFFER_BYTES = 1 << 14
MEANINGFUL = (b" path=", b" size=", b" GNU.", b" hdrcharset=")
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}


class Member(NamedTuple):
    """A file inside a tar."""

    name: str
    offset: int
    """Of its first byte, from the start of the tar."""
    size: int


def tar_members(path: Path, file: BinaryIO) -> Iterator[Member]:
    """Every plain file in a tar, in its order. Between two members the file may be moved.

    Args:
        path: for messages.
        file: the tar, opened with a buffer of about `BUFFER_BYTES`.

    Raises:
        DataError: no tar, a compressed one, a damaged or a cut one; says where.
    """
    end = file.seek(0, 2)
    archive: tarfile.TarFile | None = None
    at = 0
    while at < end:
        file.seek(at)
        header = file.read(BLOCK)
        plain = _plain(header)
        if plain is not None and plain.kind == b"x":
            extension = file.read(plain.size)
            if not any(word in extension for word in MEANINGFUL):
                at += BLOCK + _filled(
                    plain.size
                )  # times and owners, which webdataset's writer gives each file
                continue
            plain = None
        if plain is None:
            if not at and header[:2] in COMPRESSED:
                raise DataError(
                    f"{path}: compressed ({COMPRESSED[header[:2]]}), so no image in it can be read alone; "
                    "decompress it, images gain nothing by it"
                )
            if not header.strip(b"\0"):
                return  # two empty blocks end a tar
            file.seek(at)
            try:
                archive = archive or tarfile.TarFile(path, fileobj=file)
                file.seek(at)
                info = tarfile.TarInfo.fromtarfile(archive)
            except tarfile.TarError as error:
                what = "not a tar file" if not at else f"damaged at byte {at:,}"
                raise DataError(f"{path}: {what} ({error}); copy it again") from error
            name = info.name.encode("utf-8", "backslashreplace").decode()  # bytes that are no UTF-8
            plain = _Header(name, info.size if info.isreg() else 0, b"0" if info.isreg() else info.type)
            begin = info.offset_data
        else:
            begin = at + BLOCK
        name, size, kind = plain
        if begin + size > end:
            raise DataError(
                f"{path}: cut off: {name} ends at byte {begin + size:,}, the file at {end:,}; copy it again"
            )
        if kind == b"0":
            yield Member(name, begin, size)
        at = begin + _filled(size)


class _Header(NamedTuple):
    name: str
    size: int
    kind: bytes


def _filled(size: int) -> int:
    """Bytes that a content takes, whole blocks."""
    return -(-size // BLOCK) * BLOCK


def _plain(header: bytes) -> _Header | None:
    """What the header of a plain file or of an extension says; None for any other."""
    kind = header[156:157]
    if len(header) < BLOCK or kind not in b"\0x0" or header[257:262] != b"ustar":
        return None
    try:
        checksum = int(header[148:156].strip(b" \0"), 8)
        size = int(header[124:136].strip(b" \0"), 8)
        name = header[:100].split(b"\0", 1)[0].decode()
        prefix = header[345:500].split(b"\0", 1)[0].decode() if header[345] else ""
    except ValueError:
        return None
    if name.endswith("/") or checksum != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        return None
    return _Header(f"{prefix}/{name}" if prefix else name, size, b"x" if kind == b"x" else b"0")
