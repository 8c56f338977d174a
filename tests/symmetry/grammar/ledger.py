"""The groups that a network has by construction, counted while it is built.

Knows stretches of the channel axis only: steps whose effect is more than making, tying,
cutting and fixing whole stretches give the count up.
"""

from __future__ import annotations

from collections.abc import Sequence

Count = tuple[int, int]
"""(copies, size): a nested group permutes `size` units in each of `copies` outer ones."""


class Ledger:
    """Free stretches by number, and which of them the channels consist of at the moment."""

    def __init__(self) -> None:
        self.counts: dict[int, Count] = {}
        self.same: dict[int, int] = {}
        self.pieces: dict[int, tuple[int, int]] = {}
        self.fixed: set[int] = set()
        self.stream: tuple[int, ...] = ()
        self.known = True
        self.marks: dict[int, frozenset[int]] = {}
        self.twice: set[int] = set()
        self.events = 0

    def fresh(self, size: int, copies: int = 1) -> int:
        """Return a new stretch of units that may be exchanged."""
        self.counts[len(self.counts)] = (copies, size)
        self.marks[len(self.counts) - 1] = frozenset((self._event(),))
        return len(self.counts) - 1

    def _event(self) -> int:
        self.events += 1
        return self.events

    def read(self, stretches: Sequence[int]) -> None:
        """Some op reads these stretches without the rest of their axis."""
        event = frozenset((self._event(),))
        for stretch in self.resolved(stretches):
            self.marks[stretch] |= event

    def stand_twice(self, stretches: Sequence[int]) -> None:
        """Some axis holds these stretches twice: nobody asks which of their parts go together."""
        self.twice.update(self.resolved(stretches))

    def resolved(self, stretches: Sequence[int]) -> tuple[int, ...]:
        """Return the stretches as they are after all that is known."""
        found: list[int] = []
        for stretch in stretches:
            if stretch in self.same:
                found += self.resolved((self.same[stretch],))
            elif stretch in self.pieces:
                found += self.resolved(self.pieces[stretch])
            else:
                found.append(stretch)
        return tuple(found)

    def tie(self, left: Sequence[int], right: Sequence[int]) -> None:
        """Two axes permute together; cut at different places, they are too much for this."""
        left, right = self.resolved(left), self.resolved(right)
        if [self.counts[i] for i in left] != [self.counts[i] for i in right]:
            self.known = False
            return
        for pair in zip(left, right, strict=True):
            i, j = self.resolved(pair)
            if i != j:
                self.same[i] = j
                self.marks[j] |= self.marks[i]
                if i in self.twice:
                    self.twice.add(j)
                if i in self.fixed:
                    self.fixed.add(j)

    def cut(self, offset: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Divide the channels after `offset` units; where the count is given up, into nothing."""
        if not self.known:
            return (), ()
        head: list[int] = []
        rest = list(self.resolved(self.stream))
        while offset and offset >= (size := self.counts[rest[0]][1]):
            head.append(rest.pop(0))
            offset -= size
        if offset:
            whole = rest.pop(0)
            size = self.counts[whole][1]
            halves = (self.fresh(offset), self.fresh(size - offset))
            self.pieces[whole] = halves
            self.marks |= dict.fromkeys(halves, self.marks[whole])
            if whole in self.twice:
                self.twice.update(halves)
            if whole in self.fixed:
                self.fixed.update(halves)
            head.append(halves[0])
            rest.insert(0, halves[1])
        self.stream = (*head, *rest)
        # A stretch that stands twice in the axis is cut in both places.
        return self.resolved(head), self.resolved(rest)

    def fix(self, stretches: Sequence[int]) -> None:
        """The order of an axis matters."""
        self.fixed.update(self.resolved(stretches))

    def expected(self) -> list[Count] | None:
        """Return (copies, size) of every group, sorted; None where it is not known."""
        if not self.known:
            return None
        free = {i for i in self.resolved(tuple(self.counts)) if i not in self.fixed}
        classes: dict[object, list[Count]] = {}
        for i in free:  # parts of one stretch that everything reads together are one group
            key = i if i in self.twice else self.marks[i]
            classes.setdefault(key, []).append(self.counts[i])
        sums = [(own[0][0], sum(size for _, size in own)) for own in classes.values()]
        return sorted(count for count in sums if count[1] > 1)
