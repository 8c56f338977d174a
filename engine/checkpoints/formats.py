"""What kind of file this is, told from its first bytes; the extension is only a hint.

Files that are often taken for checkpoints (a web page, a Git LFS pointer, an archive) get a
message of their own.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import BinaryIO

from engine.checkpoints.refusals import refuse_tar
from engine.checkpoints.torch_file import FLAT_MAGIC
from engine.errors import CheckpointError, UnsafeFileError


class Format(Enum):
    """A kind of file that can be read; the value is the name that users see."""

    SAFETENSORS = "safetensors"
    NPZ = "npz"
    TORCH_ZIP = "torch"
    TORCH_FLAT = "torch (flat)"
    PT2 = "pt2"

    @property
    def title(self) -> str:
        """The name without the variant: "safetensors", "npz", "torch" or "pt2"."""
        return self.value.partition(" ")[0]


_HEAD_BYTES = 1024

#: First bytes of files that are no checkpoints, and what to say.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        "it is a Git LFS pointer, not the file itself; run `git lfs pull` or download the file",
    ),
    (b"\x89HDF\r\n\x1a\n", "it is an HDF5 (Keras) file; save its weights with numpy.savez"),
    (b"\x93NUMPY", "it is a single .npy array; save all arrays by name with numpy.savez"),
    (b"GGUF", "it is a GGUF file of quantised weights, which are not read"),
    (b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (b"BZh", "it is compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ\x00", "it is compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
    (b"%PDF", "it is a PDF document"),
    (b"\x89PNG", "it is a PNG image"),
    (b"\xff\xd8\xff", "it is a JPEG image"),
)
#: The first member of what torch.export.save writes, below a folder of any name.
_EXPORTED = re.compile(
    rb"[^/]*/(models/|archive_|data/(weights|constants|sample_inputs|aotinductor)/)"
)
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml|<head|<body)", re.IGNORECASE)


def detect_format(file: BinaryIO, size: int) -> Format:
    """Return the kind of file that `file` is.

    Args:
        file: The opened file, seekable.
        size: Its length in bytes.

    Raises:
        CheckpointError: It is empty or nothing that is read here, with what it seems to be.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if size == 0:
        raise CheckpointError("it is empty (0 bytes); copy or download it again")
    if head.startswith(b"PK\x03\x04"):
        return _zip_format(head)
    if head.startswith(FLAT_MAGIC):
        return Format.TORCH_FLAT
    # Eight bytes of length, then "{": told after the signatures that could look like it.
    for signature, message in _OTHERS:
        if head.startswith(signature):
            raise CheckpointError(message)
    if _PAGE.match(head):
        raise CheckpointError(
            "it is a web page, not the file: the link led to a page about it or to a login; use "
            "the download link"
        )
    if head[257:262] == b"ustar":
        refuse_tar()
    if head[8:9] == b"{":
        return Format.SAFETENSORS
    _refuse_text_and_pickles(head)
    raise CheckpointError(
        "it is none of the files that are read: .safetensors, .npz, .pt/.pth/.bin of torch.save "
        "or .pt2 of torch.export.save"
    )


def _zip_format(head: bytes) -> Format:
    """Tell numpy's zip and the two of torch by the name of the first member."""
    length = int.from_bytes(head[26:28], "little")
    first = head[30 : 30 + length]
    if _EXPORTED.match(first):
        return Format.PT2
    return Format.NPZ if first.endswith(b".npy") else Format.TORCH_ZIP


def _refuse_text_and_pickles(head: bytes) -> None:
    if b'"weight_map"' in head:
        raise CheckpointError(
            "it is the index of a sharded checkpoint, not its weights; merge the shards into one "
            "safetensors file (transformers: save_pretrained(…, max_shard_size='100GB'))"
        )
    if head[:1] == b"\x80" and 2 <= int.from_bytes(head[1:2], "big") <= 5:
        raise UnsafeFileError(
            "it is a bare Python pickle, which could run code when read; save the state dict with "
            "torch.save or safetensors instead"
        )
    if head.lstrip()[:1] in (b"{", b"["):
        raise CheckpointError("it is JSON text, not tensors")
    if len(head) < 16:
        raise CheckpointError(f"it has only {len(head)} bytes, too few for any checkpoint")
