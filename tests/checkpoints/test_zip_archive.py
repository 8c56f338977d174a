"""Archives that two programs could read in two ways, or that lie about themselves."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile

import pytest

from engine.checkpoints.limits import Limits
from engine.checkpoints.zip_archive import STORED_ONLY, STORED_OR_DEFLATED, open_archive
from engine.errors import CheckpointError, LimitError
from tests.checkpoints.files import torch_bytes, zip_bytes

GOOD = zip_bytes({"a.npy": b"12345", "b.npy": b"678"})
WIDE = torch_bytes({"w": 1})  # ends with the zip64 records
END = 22


def check(data, allowed=STORED_ONLY, limits=Limits()):  # noqa: B008 - frozen
    archive, members = open_archive(io.BytesIO(data), len(data), allowed, limits)
    archive.close()
    return members


def patched(data, offset_from_end, value):
    at = len(data) - offset_from_end
    return data[:at] + value + data[at + len(value) :]


def test_good_archives():
    assert list(check(GOOD)) == ["a.npy", "b.npy"]
    assert "archive/data.pkl" in check(WIDE)


BROKEN = {
    "cut off": (GOOD[:-30], "does not end where a zip must"),
    "tiny": (b"PK\x03\x04", "does not end where a zip must"),
    "appended": (GOOD + b"x", "does not end where a zip must"),
    "comment": (GOOD[:-2] + b"\x01\x00x", "does not end where a zip must"),
    "prepended": (b"x" * 9 + GOOD, "zip directory is not where the end record says"),
    "directory damaged": (GOOD.replace(b"PK\x01\x02", b"PK\x01\x09"), "its zip directory is damag"),
    "zip64 misplaced": (
        patched(WIDE, END + 12, struct.pack("<Q", 5)),
        "zip64 end record is not where the locator says",
    ),
    "zip64 damaged": (patched(WIDE, END + 20 + 56, b"PK\x09\x09"), "zip64 end record is damaged"),
    "zip64 contradicts": (
        patched(WIDE, END - 8, struct.pack("<2H", 1, 1)),
        "two zip end records contradict each other",
    ),
    "same name in another case": (zip_bytes({"a.npy": b"", "A.NPY": b""}), "the member 'A.NPY' tw"),
    "parent": (zip_bytes({"../a.npy": b""}), r"member '\.\./a\.npy' has a path that leads out"),
    "absolute": (zip_bytes({"/etc/a.npy": b""}), "has a path that leads out"),
    "drive": (zip_bytes({"C:/a.npy": b""}), "has a path that leads out"),
    "backslash": (zip_bytes({"..\\a.npy": b""}), "has a path that leads out"),
    "folder": (zip_bytes({"a/": b""}), "has a path that leads out"),
    "two sizes": (
        GOOD.replace(struct.pack("<2I", 5, 5), struct.pack("<2I", 5, 6)),
        "declares two different sizes",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken(kind):
    data, message = BROKEN[kind]
    with pytest.raises(CheckpointError, match=message):
        check(data)


def test_a_name_cut_by_a_null_byte():
    data = zip_bytes({"a.npyXYZ": b""}).replace(b"a.npyXYZ", b"a.npy\0YZ")
    with pytest.raises(CheckpointError, match="has a path that leads out"):
        check(data)


def test_a_name_that_occurs_twice():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.npy", b"1")
        archive.writestr("a.npy", b"2")
    with pytest.raises(CheckpointError, match=r"holds the member 'a.npy' twice"):
        check(buffer.getvalue())


def test_encrypted_and_compressed_members():
    at = GOOD.index(b"PK\x01\x02") + 8
    encrypted = GOOD[:at] + b"\x01" + GOOD[at + 1 :]
    with pytest.raises(CheckpointError, match=r"member 'a.npy' is encrypted"):
        check(encrypted)
    deflated = zip_bytes({"a.npy": b"x"}, zipfile.ZIP_DEFLATED)
    assert list(check(deflated, STORED_OR_DEFLATED)) == ["a.npy"]
    with pytest.raises(CheckpointError, match=r"'a.npy' is compressed, which torch\.save never"):
        check(deflated)
    with pytest.raises(CheckpointError, match="uses the compression method 14"):
        check(zip_bytes({"a.npy": b"x"}, zipfile.ZIP_LZMA), STORED_OR_DEFLATED)


def test_members_that_share_bytes():
    at = GOOD.rindex(b"PK\x01\x02") + 42  # where the second member's place is written
    with pytest.raises(CheckpointError, match=r"member 'b.npy' overlaps the one before it"):
        check(GOOD[:at] + struct.pack("<I", 3) + GOOD[at + 4 :])
    with pytest.raises(CheckpointError, match="a member beyond the end of the file"):
        check(GOOD[:at] + struct.pack("<I", 500) + GOOD[at + 4 :])


def test_limits():
    with pytest.raises(LimitError, match="it holds 2 zip members, more than the limit of 1"):
        check(GOOD, limits=Limits(tensors=1))
    with pytest.raises(LimitError, match=r"its zip directory takes .* more than the limit of 9"):
        check(GOOD, limits=Limits(header_bytes=9))
    with pytest.raises(LimitError, match="unpack to 8 bytes, more than the limit of 7"):
        check(GOOD, limits=Limits(total_bytes=7))
    with pytest.raises(LimitError, match="this looks like a zip bomb"):
        check(GOOD, limits=Limits(compression_ratio=0))


@pytest.mark.parametrize("flag", [0x1, 0x20, 0x40])
def test_members_that_no_reader_opens_are_refused(flag):
    data = bytearray(zip_bytes({"w.npy": b"x"}))
    data[data.index(b"PK\x01\x02") + 8] |= flag
    with pytest.raises(CheckpointError, match=r"'w\.npy' is encrypted or a patch"):
        open_archive(io.BytesIO(data), len(data), STORED_ONLY, Limits())
