"""Where the values inside a network show the units of each permutation group.

The walk that derives the symmetry describes every value of the graph by axis expressions; a
*tap* is one place of a group in one of them. Taken are the values that later layers read: those
from which some op sums the group's units away (a convolution, a product, attention, a mean).
In a plain net that is what comes out of a nonlinearity, as in Git Re-Basin (arXiv 2209.04836,
section 3.1); in a residual net it is the stream once per block, normalised where the block
normalises it. Only values that depend on the model's inputs count, and no rows that are sorted
by their expert: two models sort theirs differently.

A value may hold several free groups at once (token mixing: hidden units × channels). Taps that
hold one group alone are preferred, and a tap names the groups that stand `beside` its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import fx

from engine.program import Program
from engine.symmetry.axes import Atom, atoms, places
from engine.symmetry.derive import searched
from engine.symmetry.groups import Group, nested_occurrences, placed
from engine.symmetry.nesting import same_fixed_atoms
from engine.symmetry.occurrence import Occurrence
from engine.symmetry.rules import Value, tensors_of
from engine.symmetry.sizes import FIRST_PRIME

FROM_BATCH = -1
"""A number of outer units that the batch decides: the stretch is then the whole axis."""

SAME_NUMBERS = frozenset(
    (
        *("dropout", "contiguous", "clone", "alias", "detach", "view", "reshape", "_unsafe_view"),
        *("flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "t", "mT"),
    )
)
"""Ops after which a value holds the numbers of its first argument, laid out otherwise."""


@dataclass(frozen=True)
class Tap:
    """One place of one group in one value of the graph."""

    place: Occurrence
    """As an occurrence in a parameter, with the node's name in `parameter`; `outer` may be
    FROM_BATCH."""

    beside: tuple[Occurrence, ...] = ()
    """Where other free groups stand across this one, nested ones first."""

    @property
    def node(self) -> str:
        """The node of the graph whose value is meant."""
        return self.place.parameter


def taps(program: Program) -> dict[str, tuple[Tap, ...]]:
    """Return group name → its taps, in the order of the graph, for every group.

    A group within which others are nested has no tap of its own where they stand: theirs tell
    of it as well. A group without any tap is seen in no value that a layer reads (the rank of
    a product of two weights).

    Args:
        program: any Program; groups are called as `derive_symmetry` calls them.
    """
    return _Search(program).taps()


class _Search:
    """The values of one graph and the groups that stand in them."""

    def __init__(self, program: Program) -> None:
        walk, found = searched(program)
        self.nodes: Sequence[fx.Node] = list(program.graph_module.graph.nodes)
        self.values = walk.values
        self.algebra = walk.algebra
        self.nesting, self.merging = found.nesting, found.merging
        self.same = same_fixed_atoms(walk.algebra)
        self.sorted = walk.algebra.told.rows(self._root)
        self.group_of: Mapping[Atom, Group] = found.groups
        self.groups = {group.name: group for group in found.groups.values()}
        self.fed = _fed_by_inputs(program, self.nodes)
        self.held = {node: self._places_in(node) for node in self.nodes if node in self.fed}

    def taps(self) -> dict[str, tuple[Tap, ...]]:
        found: dict[str, dict[Tap, None]] = {name: {} for name in self.groups}
        for node in self.nodes:
            for atom in dict.fromkeys(atom for atom, _ in self.held.get(node, ())):
                if atom in self.group_of and self._is_summed_after(node, atom):
                    group = self.group_of[atom]
                    source = self._source(node, atom)
                    found[group.name] |= dict.fromkeys(self._taps_in(source, atom))
        chosen = {}
        for name, every in found.items():
            alone = [tap for tap in every if not tap.beside]
            chosen[name] = tuple(alone or every)
        return chosen

    def _taps_in(self, node: fx.Node, atom: Atom) -> Iterator[Tap]:
        """Yield the taps of one group in one value."""
        here = self.held[node]
        own, name = self.group_of[atom], self.group_of[atom].name
        for other, place in here:
            if other is not atom:
                continue
            placed = nested_occurrences(atom, place, here, self.nesting)
            across = [
                (self.group_of[rest], o)
                for rest, o in here
                if rest in self.group_of
                and o is not place
                and (o.axis != place.axis or o.overlaps(place))
                and self.group_of[rest].name != own.within
            ]
            if len(placed) != 1 or any(group.within == name for group, _ in across):
                continue
            across.sort(key=lambda pair: not pair[0].nested)
            whole = _by_batch(placed[0])
            if whole is not None and not (own.nested and whole.outer == FROM_BATCH):
                beside = [_by_batch(o) for _, o in across]
                if None not in beside:
                    yield Tap(whole, tuple(o for o in beside if o is not None))

    def _places_in(self, node: fx.Node) -> list[tuple[Atom, Occurrence]]:
        """Return every atom of a value and where it stands; of one tensor, known as a whole."""
        value = self.values.get(node)
        if not isinstance(value, tuple):
            return []
        axes = [self.algebra.resolve(axis) for axis in value]
        if any(self._root(atom) in self.sorted for axis in axes for atom in atoms(axis)):
            return []
        return [
            own
            for index, axis in enumerate(axes)
            for own in placed(node.name, index, axis, self.merging)
        ]

    def _root(self, atom: Atom) -> Atom:
        return self.same.get(atom, atom)

    def _is_summed_after(self, node: fx.Node, atom: Atom) -> bool:
        return any(
            tensors_of(self.values.get(user)) and not self._holds(self.values.get(user), atom)
            for user in node.users
        )

    def _holds(self, value: Value, atom: Atom) -> bool:
        return any(
            self.merging.first.get(place.atom, place.atom) is atom
            for axes in tensors_of(value)
            for axis in axes
            for place in places(self.algebra.resolve(axis))
        )

    def _source(self, node: fx.Node, atom: Atom) -> fx.Node:
        """Return the first value with the same numbers, so that none is taken twice."""
        while _op(node) in SAME_NUMBERS:
            before = node.args[0]
            if not isinstance(before, fx.Node) or atom not in dict(self.held.get(before, ())):
                break
            node = before
        return node


def _by_batch(place: Occurrence) -> Occurrence | None:
    """Return a place with what the batch decides left open, None where that does not go."""
    if place.start >= FIRST_PRIME or place.inner >= FIRST_PRIME:
        return None
    if place.outer < FIRST_PRIME:
        return place
    return None if place.start or place.pieces else replace(place, outer=FROM_BATCH)


def _fed_by_inputs(program: Program, nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Return the nodes whose values depend on the model's inputs."""
    known: Mapping[str, object] = {**program.placeholders, **program.constants}
    fed: set[fx.Node] = set()
    for node in nodes:
        is_input = node.op == "placeholder" and node.name not in known
        if is_input or any(source in fed for source in node.all_input_nodes):
            fed.add(node)
    return fed


def _op(node: fx.Node) -> str:
    schema = getattr(node.target, "_schema", None)
    return "" if schema is None else schema.name.removeprefix("aten::")
