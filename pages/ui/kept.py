"""What a run was asked and a page does not draw: it is kept when the run is opened and changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engine.runs import DataSpec, Spec

SPLITS = ("train_split", "test_split")


def kept(shown: Spec | None, chosen: Collection[str]) -> dict[str, Any]:
    """Return the fields of the run shown, for a page to lay its own choices over.

    `overrides` say what a family's tensors do not show: they are left out where not one of the
    run's own networks is among those chosen.

    Args:
        shown: what the run shown asks; None where none is shown.
        chosen: the networks chosen.
    """
    if shown is None:
        return {}
    fields = shown.model_dump()
    own = fields.get("models") or (fields["a"], fields["b"])
    if not set(own) & set(chosen):
        del fields["overrides"]
    return fields


def kept_options(shown: Spec | None, method: str) -> dict[str, Any]:
    """Return the options of the run shown for its own method; none for another one."""
    fields = shown.model_dump(include={"method", "options"}) if shown else {}
    return dict(fields["options"]) if fields.get("method") == method else {}


def kept_splits(shown: Spec | None, name: str, sha256: str | None) -> dict[str, str]:
    """Return which splits the run shown takes of this very data set; the usual ones of another."""
    data = getattr(shown, "data", None)
    if not isinstance(data, DataSpec) or (data.name, data.sha256) != (name, sha256):
        return {}
    return data.model_dump(include=set(SPLITS))
