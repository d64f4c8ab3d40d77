import io
import tarfile

import pytest

from vitreous.data.tar_members import tar_members
from vitreous.errors import DataError

NAMES = ("a.jpg", "deep/" * 30 + "b.jpg", "x" * 120 + "/c.jpg", "umlaut-ä.jpg", "empty.jpg")


def written(path, form, names=NAMES):
    contents = {name: bytes([number + 1]) * (300 * number) for number, name in enumerate(names)}
    contents["empty.jpg"] = b""
    with tarfile.open(path, "w", format=form) as tar:
        directory = tarfile.TarInfo("folder")
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "a.jpg"
        tar.addfile(link)
    return contents


def read(path):
    with path.open("rb") as file:
        return {
            member.name: path.read_bytes()[member.offset : member.offset + member.size]
            for member in tar_members(path, file)
        }


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_file_of_a_tar_is_found_with_its_bytes_in_every_format(tmp_path, form):
    contents = written(tmp_path / "a.tar", form)
    assert read(tmp_path / "a.tar") == contents


def test_a_name_that_is_no_utf8_is_still_a_name(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w", encoding="latin-1") as tar:
        tar.format = tarfile.USTAR_FORMAT
        tar.addfile(tarfile.TarInfo("ä.jpg"))
    assert list(read(tmp_path / "a.tar")) == [r"\udce4.jpg"]


def test_a_compressed_tar_is_refused_with_the_reason(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    with pytest.raises(DataError, match=r"a\.tar: compressed \(gzip\), so no image in it can be read alone"):
        read(tmp_path / "a.tar")


def test_a_cut_tar_names_the_member_and_the_place(tmp_path):
    written(tmp_path / "a.tar", tarfile.USTAR_FORMAT, ("a.jpg", "b.jpg", "c.jpg"))
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:2700])
    with pytest.raises(DataError, match=r"a\.tar: cut off: c\.jpg ends at byte 3,160, the file at 2,700"):
        read(tmp_path / "a.tar")


def test_a_damaged_header_names_the_place(tmp_path):
    written(tmp_path / "a.tar", tarfile.USTAR_FORMAT, ("a.jpg", "b.jpg", "c.jpg"))
    damaged = bytearray((tmp_path / "a.tar").read_bytes())
    damaged[1024 + 5] ^= 255
    (tmp_path / "a.tar").write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.tar: damaged at byte 1,024"):
        read(tmp_path / "a.tar")


def test_something_else_is_no_tar(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"no tar at all " * 100)
    with pytest.raises(DataError, match=r"a\.tar: not a tar file"):
        read(tmp_path / "a.tar")
