"""Bytes to tensors, safely: formats, limits, fingerprints, names."""

from engine.checkpoints.bundle import read_bundle, read_bundle_header
from engine.checkpoints.checkpoint import Checkpoint, about, fingerprint
from engine.checkpoints.fit import check_finite, check_fit
from engine.checkpoints.folder import read_beside, read_folder
from engine.checkpoints.header import Header, read_header_only
from engine.checkpoints.header_folder import read_header
from engine.checkpoints.hub import environment_token, fetch_checkpoint, load_checkpoint
from engine.checkpoints.limits import Limits
from engine.checkpoints.read import read_checkpoint, read_checkpoint_bytes
from engine.checkpoints.reference import Reference, may_be_reference, parse_reference
from engine.checkpoints.stated import stated_metadata, stated_options
from engine.checkpoints.write import write_checkpoint

__all__ = [
    # values
    "Checkpoint",
    "Header",
    "Limits",
    "Reference",
    # reading and writing
    "load_checkpoint",
    "read_checkpoint",
    "read_checkpoint_bytes",
    "read_beside",
    "read_bundle",
    "read_bundle_header",
    "read_folder",
    "read_header",
    "read_header_only",
    "environment_token",
    "fetch_checkpoint",
    "may_be_reference",
    "parse_reference",
    "write_checkpoint",
    # what a file states of its own architecture
    "stated_metadata",
    "stated_options",
    # checks
    "about",
    "check_finite",
    "check_fit",
    "fingerprint",
]
