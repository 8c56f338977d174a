"""`config.json` beside the weights: what a Hugging Face model says of its own architecture.

Read as data: a JSON object of bounded size and depth, of which the families take a few checked
values. A config that names no `model_type` describes no architecture here and counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.checkpoints.admission import reason
from engine.errors import CheckpointError, LimitError

CONFIG_NAME = "config.json"
MOST_BYTES = 1 << 20


def read_config(path: Path) -> Mapping[str, Any] | None:
    """Return what a config.json says, None where it names no model type.

    Raises:
        LimitError: It is larger than any config.
        CheckpointError: It cannot be read, or is no JSON object.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise LimitError(
                f"{path.name}: it takes {size:,} bytes, more than the limit of {MOST_BYTES:,}"
            )
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path.name}: it cannot be read ({error.strerror or error})"
        ) from error
    return parse_config(data, path.name)


def parse_config(data: bytes, name: str = CONFIG_NAME) -> Mapping[str, Any] | None:
    """Return what the bytes of a config.json say; errors are those of `read_config`."""
    try:
        config = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name}: it is no valid JSON ({reason(error)})") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{name}: it is no JSON object")
    return config if isinstance(config.get("model_type"), str) else None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
