"""A state dict read as layers: names grouped by owner, each owner's kind told by its shapes.

Nothing here knows an architecture. Names are compared without wrappers (`module.` anywhere in
the path) and without the prefix that all of them share; messages show the checkpoint's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module"})
STATISTICS = frozenset({"running_mean", "running_var"})
LEAVES = STATISTICS | {"weight", "bias"}


@dataclass(frozen=True)
class Part:
    """One layer of the state dict.

    Attributes:
        path: Owner of the tensors, without wrappers and shared prefix ("features.0").
        label: Owner as the checkpoint names it.
        kind: "linear", "conv", "batch_norm" or "layer_norm".
        shape: Of the weight; of the running mean where a BatchNorm has no weight.
        leaves: weight, bias, running_mean, running_var -> the checkpoint's tensor name.
    """

    path: str
    label: str
    kind: str
    shape: tuple[int, ...]
    leaves: Mapping[str, str]

    @property
    def outputs(self) -> int:
        return self.shape[0]

    @property
    def inputs(self) -> int:
        return self.shape[1]

    @property
    def bias(self) -> bool:
        return "bias" in self.leaves

    @property
    def is_norm(self) -> bool:
        return self.kind in ("batch_norm", "layer_norm")

    def names(self, owner: str) -> dict[str, str]:
        """Return a module's names for this layer, below `owner` -> the checkpoint's names."""
        return {f"{owner}.{leaf}": name for leaf, name in self.leaves.items()}


@dataclass(frozen=True)
class Layout:
    """The layers of a state dict in natural order, and the tensors that belong to none."""

    parts: tuple[Part, ...]
    unexplained: tuple[str, ...]  # "name [shape]: why", one per tensor
    shapes: Mapping[str, tuple[int, ...]]  # every tensor that a family must account for
    integers: frozenset[str] = frozenset()  # those of them that hold whole numbers

    def of(self, *kinds: str) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind in kinds)

    @property
    def norms(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_norm)


def read_layout(tensors: Mapping[str, Tensor]) -> Layout:
    """Group the tensors of a state dict into layers; `num_batches_tracked` is left out."""
    owners: dict[str, dict[str, str]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    unexplained: list[str] = []
    for name in sorted(tensors, key=natural_key):
        owner, _, leaf = name.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        shapes[name] = tuple(tensors[name].shape)
        if leaf in LEAVES and not tensors[name].is_floating_point():
            kind = str(tensors[name].dtype).removeprefix("torch.")
            unexplained.append(
                f"{name} {show_shape(shapes[name])} holds {kind}, not floating-point numbers"
            )
        elif leaf not in LEAVES:
            unexplained.append(f"{name} {show_shape(shapes[name])} is no weight, bias or statistic")
        else:
            owners.setdefault(owner, {})[leaf] = name
    paths = shortened(tuple(owners))
    parts = []
    for owner, leaves in owners.items():
        kind, why = kind_of(owner, {leaf: shapes[name] for leaf, name in leaves.items()})
        if kind is None:
            unexplained.append(why)
            continue
        shape = shapes[leaves.get("weight", leaves.get("running_mean", ""))]
        parts.append(Part(paths[owner], owner or "(top level)", kind, shape, leaves))
    parts.sort(key=lambda part: natural_key(part.path))
    integers = frozenset(name for name in shapes if not tensors[name].is_floating_point())
    return Layout(tuple(parts), tuple(unexplained), shapes, integers)


def kind_of(owner: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str | None, str]:
    """Tell a layer's kind from the shapes of its tensors; else None and the reason."""
    where = owner or "the top level"
    if STATISTICS & shapes.keys():
        wrong = _wrong_batch_norm(where, shapes)
        return (None, wrong) if wrong else ("batch_norm", "")
    if "weight" not in shapes:
        return None, f"{where} has a bias {show_shape(shapes['bias'])} but no weight"
    weight, bias = shapes["weight"], shapes.get("bias")
    kind = {1: "layer_norm", 2: "linear", 3: "layer_norm", 4: "conv"}.get(len(weight))
    if kind is None or 0 in weight:
        return None, f"{where}.weight {show_shape(weight)} is no layer of a known family"
    fitting = weight if kind == "layer_norm" else weight[:1]
    if bias is None or bias == fitting:
        return kind, ""
    return None, (
        f"{where}.bias {show_shape(bias)} does not fit its weight {show_shape(weight)}: "
        f"it should be {show_shape(fitting)}"
    )


def _wrong_batch_norm(where: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Say what is wrong with a BatchNorm's tensors; empty where nothing is."""
    if missing := STATISTICS - shapes.keys():
        return f"{where} has {min(STATISTICS - missing)} but no {min(missing)}"
    if "bias" in shapes and "weight" not in shapes:
        return f"{where} is a BatchNorm with a bias and no weight"
    if len(set(shapes.values())) > 1 or len(shapes["running_mean"]) != 1:
        return f"{where} is a BatchNorm whose tensors do not fit: {listed(shapes)}"
    return ""


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that counts: features.2 before features.10."""
    pieces = re.split(r"(\d+)", name)
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in pieces if p)


def shortened(owners: Sequence[str]) -> dict[str, str]:
    """Return owner -> path without wrappers and without the prefix that all owners share."""
    paths = [[piece for piece in owner.split(".") if piece not in WRAPPERS] for owner in owners]
    if len({tuple(path) for path in paths}) < len(paths):
        paths = [owner.split(".") for owner in owners]
    shared = 0
    while len(paths) > 1 and all(
        len(p) > shared + 1 and p[shared] == paths[0][shared] for p in paths
    ):
        shared += 1
    return {owner: ".".join(path[shared:]) for owner, path in zip(owners, paths, strict=True)}


def numbers_in(path: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", path))


def words_in(path: str) -> frozenset[str]:
    return frozenset(word.lower() for word in re.findall(r"[A-Za-z]+", path))


def container_and_index(path: str) -> tuple[str, int] | None:
    """Split "features.12" into ("features", 12); None where the last piece is no number."""
    container, _, last = path.rpartition(".")
    return (container, int(last)) if last.isdigit() else None


def show_shape(shape: Sequence[int]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{leaf} {show_shape(shape)}" for leaf, shape in shapes.items())


def some_of(items: Sequence[str], most: int = 4) -> str:
    """Join the first few items; say how many more there are."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
