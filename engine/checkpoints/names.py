"""Undoing what wrappers add to tensor names: DataParallel, compile, Lightning, averaging.

Each rule looks at all names at once and either does not apply or returns the new names with
one sentence about it. Rules are applied until none does. A name such as `net.0.weight` is
left alone outside Lightning, since `net` may well be the model's own attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor

from engine.checkpoints.admission import check_name, check_tensor, shown
from engine.checkpoints.limits import Limits
from engine.checkpoints.wrappings import find_state
from engine.errors import CheckpointError

#: New name of every kept tensor by its old one, and the sentence that reports it.
Renaming = tuple[dict[str, str], str]

_LIGHTNING_ROOTS = ("model.", "net.", "network.")
_AVERAGE_ROOTS = ("ema_model.", "model_ema.", "ema.")
_PLAIN_ROOTS = ("online_model.", "model.", "net.", "module.")
_COUNTERS = frozenset({"n_averaged", "initted", "step", "decay", "num_updates"})
_ROUNDS = 16


def unwrap(content: Any, limits: Limits) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the weights inside `content` by their own names, and what was undone.

    Args:
        content: What a file holds: tensors by name, or mappings around them.
        limits: The caps on names and shapes.

    Raises:
        CheckpointError: There are no weights, or they cannot be told apart.
        LimitError: Together they take more than the caps allow.
    """
    state, found, lightning = find_state(content)
    notes = list(found)
    # One tensor of a file may stand under many names, each of which is to get its own memory.
    limits.check_count(len(state))
    limits.check_total(sum(tensor.numel() * tensor.itemsize for tensor in state.values()))
    tensors = {
        check_name(name, limits): check_tensor(str(name), tensor, limits)
        for name, tensor in state.items()
    }
    tensors, undone = own_names(tensors, lightning)
    return tensors, (*notes, *undone)


def own_names(
    tensors: dict[str, Tensor], lightning: bool
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return tensors under the names that their model gives them, and what was undone.

    Args:
        tensors: By the names in the file; only the names matter.
        lightning: Whether Lightning wrote the file.

    Raises:
        CheckpointError: Two tensors would get one name.
    """
    notes: list[str] = []
    for _ in range(_ROUNDS):
        change = _first_change(tensors, lightning)
        if change is None:
            break
        names, sentence = change
        renamed = {new: tensors[old] for old, new in names.items()}
        if len(renamed) != len(names):
            raise CheckpointError(
                "two tensors get one name when the wrapping of their names is undone "
                f"({_first_double(names)})"
            )
        tensors = renamed
        notes.append(sentence)
    return tensors, tuple(notes)


def _first_change(names: Collection[str], lightning: bool) -> Renaming | None:
    rules: list[Callable[[Collection[str]], Renaming | None]] = [
        _compiled,
        _averaged_model,
        _average_beside_plain,
        _data_parallel_inside,
        lambda names: _prefix(names, "module.", "DataParallel's"),
        lambda names: _prefix(names, "model.", "The wrapper's"),
    ]
    if lightning:
        rules.append(_lightning)
    changes = (rule(names) for rule in rules)
    return next((change for change in changes if change is not None), None)


def _prefix(names: Collection[str], prefix: str, whose: str) -> Renaming | None:
    if not all(name.startswith(prefix) and name != prefix for name in names):
        return None
    kept = {name: name.removeprefix(prefix) for name in names}
    return kept, f"{whose} prefix '{prefix}' was removed from every name."


def _compiled(names: Collection[str]) -> Renaming | None:
    if not any("_orig_mod" in name.split(".")[:-1] for name in names):
        return None
    kept = {
        name: ".".join(part for part in name.split(".") if part != "_orig_mod") for name in names
    }
    return kept, "torch.compile's '_orig_mod.' was removed from the names."


def _averaged_model(names: Collection[str]) -> Renaming | None:
    """torch.optim.swa_utils.AveragedModel: a counter beside `module.`."""
    rest = [name for name in names if name != "n_averaged"]
    if len(rest) == len(names) or not all(name.startswith("module.") for name in rest):
        return None
    return (
        {name: name for name in rest},
        "The weights are an average over training (AveragedModel); its counter was left aside.",
    )


def _average_beside_plain(names: Collection[str]) -> Renaming | None:
    """A plain and an averaged model in one state dict: the plain one is taken."""
    average = next((r for r in _AVERAGE_ROOTS if any(n.startswith(r) for n in names)), None)
    if average is None:
        return None
    rest = [n for n in names if not n.startswith(average) and n not in _COUNTERS]
    plain = next((r for r in _PLAIN_ROOTS if rest and all(n.startswith(r) for n in rest)), None)
    if plain is not None:
        return (
            {name: name.removeprefix(plain) for name in rest},
            f"The moving averages (EMA) under '{average}' were left aside; the plain weights "
            f"under '{plain}' are used.",
        )
    if rest:
        return None
    kept = {n: n.removeprefix(average) for n in names if n.startswith(average)}
    return kept, f"The weights are the moving averages (EMA) under '{average}'."


def _data_parallel_inside(names: Collection[str]) -> Renaming | None:
    """DataParallel around a part of the model: `features.module.0.weight`."""
    parents = {name.partition(".module.")[0] for name in names if ".module." in name}
    for parent in sorted(parents):
        below = [name for name in names if name.startswith(f"{parent}.")]
        if all(name.startswith(f"{parent}.module.") for name in below):
            kept = {name: name for name in names}
            kept.update({name: name.replace(".module.", ".", 1) for name in below})
            return kept, f"DataParallel's 'module.' was removed below '{parent}'."
    return None


def _lightning(names: Collection[str]) -> Renaming | None:
    """The LightningModule's attribute that holds the network; metrics and losses stay behind."""
    for root in _LIGHTNING_ROOTS:
        kept = {
            name: name.removeprefix(root)
            for name in names
            if name.startswith(root) and name != root
        }
        if kept:
            aside = sorted({name.partition(".")[0] for name in names if name not in kept})
            sentence = f"Lightning's prefix '{root}' was removed from the names"
            if aside:
                sentence += f"; tensors of other attributes ({', '.join(aside[:8])}) were left out"
            return kept, f"{sentence}."
    return None


def _first_double(names: dict[str, str]) -> str:
    seen: dict[str, str] = {}
    for old, new in names.items():
        if new in seen:
            return f"{shown(seen[new])} and {shown(old)}"
        seen[new] = old
    return ""
