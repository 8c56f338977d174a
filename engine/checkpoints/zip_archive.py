"""Zip archives from strangers: checked as a whole before any member is read.

`.npz` files and those of `torch.save` are zips. Several programs read the same file (Python's
zipfile, the reader inside torch), so only archives that they cannot understand differently are
let through: one end record at the very end, members that neither overlap nor repeat.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from engine.checkpoints.admission import reason, shown
from engine.checkpoints.limits import Limits
from engine.errors import CheckpointError, LimitError

STORED_ONLY = frozenset({ZIP_STORED})
STORED_OR_DEFLATED = frozenset({ZIP_STORED, ZIP_DEFLATED})

_END = struct.Struct("<4s4H2LH")  # signature, disks, counts, directory size and offset, comment
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL_HEADER_BYTES = 30
_UNREADABLE = 0x1 | 0x20 | 0x40  # flags: encrypted, patch data, strongly encrypted


def open_archive(
    file: BinaryIO, size: int, allowed: Collection[int], limits: Limits
) -> tuple[ZipFile, dict[str, ZipInfo]]:
    """Return a checked archive and its members by name.

    Args:
        file: The opened file, seekable.
        size: Its length in bytes.
        allowed: Compression methods that members may use.
        limits: The caps on members, directory and declared bytes.

    Raises:
        CheckpointError: The archive is damaged, or can be read in two ways.
        LimitError: It declares more than the caps allow.
    """
    _check_end(file, size, limits)
    try:
        archive = ZipFile(file)
    except (BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise CheckpointError(f"its zip directory is damaged ({reason(error)})") from error
    members: dict[str, ZipInfo] = {}
    seen: set[str] = set()
    for member in archive.infolist():
        _check_member(member, allowed)
        folded = member.filename.casefold()
        if folded in seen:
            raise CheckpointError(f"its zip holds the member {shown(member.filename)} twice")
        seen.add(folded)
        members[member.filename] = member
    _check_places(list(members.values()), size)
    total = sum(member.file_size for member in members.values())
    limits.check_total(total, "its zip members unpack to")
    if total > limits.compression_ratio * size:
        raise LimitError(
            f"its zip unpacks from {size:,} to {total:,} bytes, more than the limit of "
            f"{limits.compression_ratio} times: this looks like a zip bomb"
        )
    return archive, members


def _check_end(file: BinaryIO, size: int, limits: Limits) -> None:
    """Check the end record before the library reads the directory that it announces."""
    end_at = size - _END.size
    signature, end = b"", (0,) * 7
    if end_at >= 0:
        file.seek(end_at)
        signature, *end = _END.unpack(file.read(_END.size))
    if signature != b"PK\x05\x06" or end[6] != 0:
        raise CheckpointError(
            "its zip archive does not end where a zip must: it was cut off or something was "
            "appended; copy or download it again"
        )
    count, length, offset, directory_end = end[3], end[4], end[5], end_at
    if end_at >= _LOCATOR.size:
        file.seek(end_at - _LOCATOR.size)
        locator, _, record_at, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
        if locator == b"PK\x06\x07":
            count, length, offset = _read_end64(file, record_at, size, (count, length, offset))
            directory_end = record_at
    limits.check_count(count, "zip members")
    limits.check_header(length, "zip directory")
    if offset + length != directory_end:
        raise CheckpointError("its zip directory is not where the end record says")


def _read_end64(
    file: BinaryIO, at: int, size: int, short: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Return count, length and offset of the zip64 record; they must not contradict `short`."""
    if at + _END64.size + _LOCATOR.size + _END.size != size:
        raise CheckpointError("its zip64 end record is not where the locator says")
    file.seek(at)
    fields = _END64.unpack(file.read(_END64.size))
    if fields[0] != b"PK\x06\x06":
        raise CheckpointError("its zip64 end record is damaged")
    long = (fields[7], fields[8], fields[9])
    for value, other, saturated in zip(long, short, (0xFFFF, 1 << 32, 1 << 32), strict=True):
        if other != value and other not in (saturated, saturated - 1):
            raise CheckpointError("its two zip end records contradict each other")
    return long


def _check_member(member: ZipInfo, allowed: Collection[int]) -> None:
    name = member.filename
    parts = name.split("/")
    escapes = "\\" in name or re.match(r"[A-Za-z]:/", name) is not None
    if name != member.orig_filename or escapes or any(part in ("", ".", "..") for part in parts):
        raise CheckpointError(
            f"its zip member {shown(member.orig_filename)} has a path that leads out of the archive"
        )
    if member.flag_bits & _UNREADABLE:
        raise CheckpointError(f"its zip member {shown(name)} is encrypted or a patch")
    check_compression(member, allowed)
    if member.compress_type == ZIP_STORED and member.compress_size != member.file_size:
        raise CheckpointError(f"its zip member {shown(name)} declares two different sizes")


def check_compression(member: ZipInfo, allowed: Collection[int]) -> None:
    """Check how one member is packed.

    Raises:
        CheckpointError: By none of the allowed methods.
    """
    name = member.filename
    if member.compress_type not in allowed:
        if member.compress_type == ZIP_DEFLATED:
            raise CheckpointError(
                f"its zip member {shown(name)} is compressed, which torch.save never does; load "
                "it where it was made and save it again"
            )
        raise CheckpointError(
            f"its zip member {shown(name)} uses the compression method {member.compress_type}, "
            "which is not read here"
        )


def _check_places(members: list[ZipInfo], size: int) -> None:
    """Check that every member lies inside the file and none shares bytes with another."""
    position = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < position:
            raise CheckpointError(
                f"its zip member {shown(member.filename)} overlaps the one before it"
            )
        header = _LOCAL_HEADER_BYTES + len(member.orig_filename)
        position = member.header_offset + header + member.compress_size
    if position > size:
        raise CheckpointError("its zip announces a member beyond the end of the file")
