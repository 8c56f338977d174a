"""Reading a `.pt2` (what `torch.export.save` writes) without running anything of it.

The zip is checked as a whole first. Then its members are read by name: the graph and two lists
of tensors in JSON, and the tensors' raw bytes. The example inputs, which are a pickle, are never
opened. `torch.export.load` is never called: it unpickles.
Not handled: several models in one file, compiled libraries, further files, pickled tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

import torch
from torch import Tensor

from engine.checkpoints.admission import byte_size, reason, shown
from engine.checkpoints.limits import Limits
from engine.checkpoints.pt2.content import check_constants
from engine.checkpoints.pt2.document import Entry, parse_document
from engine.checkpoints.pt2.graph import Graph, read_graph
from engine.checkpoints.pt2.payloads import Payload, load_payloads, read_payloads, ties
from engine.checkpoints.pt2.schema import check_version
from engine.checkpoints.zip_archive import STORED_ONLY, open_archive
from engine.errors import CheckpointError, UnsafeFileError

_FORMAT, _VERSION, _ORDER = "archive_format", "archive_version", "byteorder"
_WEIGHTS, _CONSTANTS = "data/weights/", "data/constants/"
_OLD_PAYLOADS = ("data/weights/{}.pt", "data/constants/{}.pt")
_KNOWN = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
    r"|models/[^/]+\.json|data/sample_inputs/[^/]+\.pt"
    r"|data/weights/([^/]+_weights_config\.json|weight_\d+)"
    r"|data/constants/([^/]+_constants_config\.json|tensor_\d+)"
)


@dataclass(frozen=True)
class ExportedFile:
    """What a `.pt2` holds, found to be in order.

    Args:
        document: the parsed `model.json`.
        graph: what it computes.
        tensors: the weights by name, as in a state dict.
        constants: tensors that no state dict holds.
        ties: names that hold the weight of another name: alias → name.
    """

    document: Entry
    graph: Graph
    tensors: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]
    ties: Mapping[str, str]


def read_archive(file: BinaryIO, size: int, limits: Limits) -> ExportedFile:
    """Return the content of a `.pt2`.

    Args:
        file: the opened file, seekable.
        size: its length in bytes.
        limits: the caps.

    Raises:
        UnsafeFileError: it holds pickled tensors, or asks for operations that are not known.
        CheckpointError: it is malformed, of another version, or beyond what is read here.
        LimitError: it declares more than the caps allow.
    """
    opened = _open(file, size, limits)
    return ExportedFile(
        document=opened.document,
        graph=opened.graph,
        tensors=opened.load(opened.weights, _WEIGHTS),
        constants=opened.load(opened.constants, _CONSTANTS),
        ties=ties(opened.weights),
    )


def plan_archive(file: BinaryIO, size: int, limits: Limits) -> ExportedFile:
    """Return the content of a `.pt2` with its weights on the device "meta": no value is read.

    The constants are: they belong to the graph. Args and errors are those of `read_archive`.
    """
    opened = _open(file, size, limits)
    check_constants(sum(byte_size(each.shape, each.dtype) for each in opened.constants))
    return ExportedFile(
        document=opened.document,
        graph=opened.graph,
        tensors={
            payload.name: torch.empty(payload.shape, dtype=payload.dtype, device="meta")
            for payload in opened.weights
        },
        constants=opened.load(opened.constants, _CONSTANTS),
        ties=ties(opened.weights),
    )


@dataclass(frozen=True)
class _Opened:
    """A `.pt2` whose descriptions were read and found to be in order."""

    archive: ZipFile
    inner: Mapping[str, ZipInfo]
    document: Entry
    graph: Graph
    weights: tuple[Payload, ...]
    constants: tuple[Payload, ...]

    def load(self, payloads: tuple[Payload, ...], folder: str) -> dict[str, Tensor]:
        """Return the tensors of payloads that lie in a folder of the archive."""
        return load_payloads(payloads, lambda path: _read(self.archive, self.inner[folder + path]))


def _open(file: BinaryIO, size: int, limits: Limits) -> _Opened:
    archive, inner = _members(file, size, limits)
    model = _only_model(inner)
    document = _document(archive, inner, f"models/{model}.json", "its model.json")
    check_version(document)
    graph = read_graph(document)
    weights = _payloads(archive, inner, _WEIGHTS, f"{model}_weights_config.json", limits)
    constants = _payloads(archive, inner, _CONSTANTS, f"{model}_constants_config.json", limits)
    if not weights:
        raise CheckpointError("it holds a graph, but no weights")
    _check_bound(graph, weights, constants)
    return _Opened(archive, inner, document, graph, weights, constants)


def _members(file: BinaryIO, size: int, limits: Limits) -> tuple[ZipFile, dict[str, ZipInfo]]:
    """Return the archive and its members by their names below the one root folder."""
    archive, members = open_archive(file, size, STORED_ONLY, limits)
    roots = {name.partition("/")[0] for name in members}
    if len(roots) != 1 or any("/" not in name for name in members):
        raise CheckpointError("its zip has more than one folder at the top")
    inner = {name.partition("/")[2]: member for name, member in members.items()}
    for name in inner:
        _check_member(name)
    for name, expected in ((_FORMAT, b"pt2"), (_VERSION, b"0"), (_ORDER, b"little")):
        found = _read(archive, inner[name]) if name in inner else b""
        if found.strip() != expected:
            raise CheckpointError(
                f"its {name} is {shown(found[:40].decode('latin-1'))}, not {expected.decode()!r}"
            )
    return archive, inner


def _check_member(name: str) -> None:
    if _KNOWN.fullmatch(name):
        return
    if re.fullmatch(r"data/(weights|constants)/[^/]+\.pt", name):
        raise UnsafeFileError(
            "its tensors are pickled, as torch before 2.9 wrote them; export and save the module "
            "again with torch 2.11 or later"
        )
    if re.match(r"data/constants/(custom_obj|opaque_obj)_", name):
        raise UnsafeFileError("it holds pickled objects of custom classes, which could run code")
    if name.startswith("data/aotinductor/") or name.endswith(".so"):
        raise UnsafeFileError("it holds compiled code (AOTInductor), which is never run")
    raise CheckpointError(f"it holds the file {shown(name)}, which belongs to no exported program")


def _only_model(inner: Mapping[str, ZipInfo]) -> str:
    models = [name for name in inner if name.startswith("models/")]
    if len(models) != 1:
        raise CheckpointError(f"it holds {len(models)} models; save one in a file of its own")
    return models[0].removeprefix("models/").removesuffix(".json")


def _document(archive: ZipFile, inner: Mapping[str, ZipInfo], name: str, what: str) -> Entry:
    if name not in inner:
        raise CheckpointError(f"it lacks {name}")
    return parse_document(_read(archive, inner[name]), what)


def _payloads(
    archive: ZipFile, inner: Mapping[str, ZipInfo], folder: str, config: str, limits: Limits
) -> tuple[Payload, ...]:
    sizes = {
        name.removeprefix(folder): member.file_size
        for name, member in inner.items()
        if name.startswith(folder) and not name.endswith(".json")
    }
    described = _document(archive, inner, folder + config, f"its {config}")
    payloads = read_payloads(described, sizes, limits, constants=folder == _CONSTANTS)
    if unused := sorted(set(sizes) - {payload.path for payload in payloads}):
        raise CheckpointError(f"its payload {shown(folder + unused[0])} belongs to no tensor")
    return payloads


def _check_bound(
    graph: Graph, weights: tuple[Payload, ...], constants: tuple[Payload, ...]
) -> None:
    """Check that the file holds every tensor that its graph reads."""
    held = {True: {p.name for p in weights}, False: {p.name for p in constants}}
    if both := sorted(held[True] & held[False]):
        raise CheckpointError(f"it holds {shown(both[0])} as a weight and as a constant")
    seen: set[str] = set()
    for binding in graph.signature.bindings:
        if binding.tensor in seen:
            raise CheckpointError(f"its graph takes {shown(binding.tensor)} under two names")
        seen.add(binding.tensor)
        if binding.tensor not in held[binding.persistent]:
            raise CheckpointError(
                f"its graph reads the {binding.kind} {shown(binding.tensor)}, which is not there"
            )


def _read(archive: ZipFile, member: ZipInfo) -> bytes:
    try:
        return archive.read(member)
    except (BadZipFile, OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"its zip is damaged ({reason(error)})") from error
