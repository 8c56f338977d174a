"""What a file from a stranger may ask of this machine, checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import LimitError


@dataclass(frozen=True)
class Limits:
    """The caps that every reader holds a file to.

    Args:
        header_bytes: Largest description of the tensors: a safetensors header or a pickle.
        tensors: Most tensors, and most members of a zip archive.
        total_bytes: Most bytes that all tensors may take in memory, and the largest download.
        name_length: Longest tensor name, in characters.
        dimensions: Most axes of one tensor.
        compression_ratio: Most bytes that one byte of a compressed file may unpack to.
    """

    header_bytes: int = 16 << 20
    tensors: int = 65_536
    total_bytes: int = 8 << 30
    name_length: int = 512
    dimensions: int = 16
    compression_ratio: int = 200

    def check_header(self, size: int, what: str) -> None:
        """Refuse a description of `size` bytes that is larger than the cap.

        Raises:
            LimitError: With both sizes.
        """
        if size > self.header_bytes:
            raise LimitError(
                f"its {what} takes {size:,} bytes, more than the limit of {self.header_bytes:,}"
            )

    def check_count(self, count: int, what: str = "tensors") -> None:
        """Refuse more than the allowed number of tensors or archive members.

        Raises:
            LimitError: With both numbers.
        """
        if count > self.tensors:
            raise LimitError(f"it holds {count:,} {what}, more than the limit of {self.tensors:,}")

    def check_total(self, size: int, what: str = "its tensors take") -> None:
        """Refuse tensors (or a file) that together are larger than the cap.

        Raises:
            LimitError: With both sizes.
        """
        if size > self.total_bytes:
            raise LimitError(f"{what} {size:,} bytes, more than the limit of {self.total_bytes:,}")
