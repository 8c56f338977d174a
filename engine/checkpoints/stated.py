"""What a file says of itself that names and shapes cannot show, such as the heads of a transformer.

One JSON object of a family's options, kept as text in a safetensors file's metadata. It is read
as data and becomes the checkpoint's config: whoever opens the file sees the network that was
trained, not one that merely has its shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.checkpoints.config_file import MOST_BYTES
from engine.errors import CheckpointError

STATED_KEY = "basinscope_options"
STATED_TYPE = "basinscope"
"""The `model_type` of a config that holds a family's options and nothing else."""


def stated_metadata(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata that states a family's options; empty where there are none."""
    return {STATED_KEY: json.dumps(dict(options), sort_keys=True)} if options else {}


def stated_config(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the config that a file's metadata states, None where it states nothing.

    Raises:
        CheckpointError: The statement is no JSON object of single values.
    """
    text = metadata.get(STATED_KEY)
    if text is None:
        return None
    try:
        options = json.loads(text) if len(text) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        options = None
    if not isinstance(options, dict) or not all(map(_single, options.items())):
        raise CheckpointError(f"its metadata {STATED_KEY} is no JSON object of single values")
    return {"model_type": STATED_TYPE, **options}


def _single(item: tuple[str, object]) -> bool:
    return item[0] != "model_type" and isinstance(item[1], str | int | float)


def stated_options(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options in a config of this kind; none in any other, or without one."""
    if config is None or config.get("model_type") != STATED_TYPE:
        return {}
    return {name: value for name, value in config.items() if name != "model_type"}
