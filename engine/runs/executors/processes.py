"""Tiles evaluated by several processes of this machine: one per GPU, or a few on a CPU.

Weights and data are written once to files that every process maps. A process that dies is
replaced and its tiles are evaluated again. The processes end with the one that started them.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as ready
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import torch

from engine.errors import BasinscopeError, CancelledError, RunError
from engine.runs.deaths import MEMORY_ADVICE
from engine.runs.executors.cargo import Cargo, Order, Station, load_cargo
from engine.studies.evaluation import Finished, Work
from engine.studies.tiles import Tile

LOOK = 0.2
"""Seconds between two questions whether to stop."""

MOST_DEATHS = 3
ALIGNMENT = mmap.ALLOCATIONGRANULARITY
Arrays = Mapping[str, np.ndarray]


class InProcesses:
    """Evaluates tiles in processes of its own, which live as long as one call of `run`.

    Args:
        workers: how many processes; None takes one per GPU.
        devices: where each computes, taken in turn; None takes the GPUs, else the CPU.
        threads: torch's threads in each; None shares the machine's cores out evenly.

    Raises:
        RunError: less than one process or thread was asked for.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        devices: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        found = [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
        self.devices = tuple(devices or found)
        self.workers = len(self.devices) if workers is None else workers
        cores = len(os.sched_getaffinity(0))
        self.threads = max(1, cores // max(self.workers, 1)) if threads is None else threads
        if self.workers < 1 or self.threads < 1:
            raise RunError(
                f"{self.workers} processes with {self.threads} threads each cannot compute; "
                "give at least 1 of both."
            )

    def run(
        self,
        work: Work,
        tiles: Sequence[Tile],
        *,
        finished: Finished,
        point: Callable[[Tile], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """See `engine.studies.evaluation.TileExecutor`; points are told with their tile.

        Raises:
            RunError: the Program was given in Python, or processes keep dying.
        """
        if not tiles:
            return
        cargo, orders = load_cargo(work, tiles)
        with tempfile.TemporaryDirectory(prefix="basinscope-") as folder:
            crew = _Crew(self, Manifest.write(cargo, Path(folder) / "cargo"), orders)
            try:
                for number, arrays in crew.results(should_stop):
                    finished(tiles[number], arrays)
            finally:
                crew.end()


@dataclass(frozen=True)
class Manifest:
    """Cargo whose bytes lie in a file.

    Attributes:
        path: the file.
        plan: the pickled cargo without the bytes.
        places: start and length of each piece in the file.
    """

    path: Path
    plan: bytes
    places: tuple[tuple[int, int], ...]

    @staticmethod
    def write(cargo: Cargo, path: Path) -> Manifest:
        """Write the bytes of cargo to one file, each piece aligned."""
        pieces: list[pickle.PickleBuffer] = []
        plan = pickle.dumps(cargo, protocol=5, buffer_callback=pieces.append)
        places = []
        with path.open("wb") as stream:
            for piece in pieces:
                stream.write(bytes(-stream.tell() % ALIGNMENT))
                places.append((stream.tell(), stream.write(piece.raw())))
        return Manifest(path, plan, tuple(places))

    def read(self) -> Cargo:
        """Return the cargo, its tensors mapped from the file; they are read when they are used."""
        with self.path.open("rb") as stream:
            mapped = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        pieces = [mapped[at : at + size] for at, size in self.places]
        # The plan came from the process that started this one, never from a user's file.
        return pickle.loads(self.plan, buffers=pieces)  # noqa: S301


class _Crew:
    """The processes of one run: each is given one tile at a time over a pipe of its own.

    They share no locks, which a process that is killed could hold for ever.
    """

    def __init__(self, settings: InProcesses, manifest: Manifest, orders: Sequence[Order]) -> None:
        self._settings, self._manifest, self._orders = settings, manifest, orders
        self._left = deque(range(len(orders)))
        self._members: dict[Connection, _Member] = {}
        self._deaths = 0

    def results(self, should_stop: Callable[[], bool]) -> Iterator[tuple[int, Arrays]]:
        """Yield (number, arrays) of finished tiles.

        Raises:
            CancelledError: should_stop said so.
            RunError: processes keep dying.
            BasinscopeError: as a tile's evaluation raised it.
        """
        for place in range(min(self._settings.workers, len(self._orders))):
            self._hire(place)
        while self._members:
            for connection in ready(list(self._members), LOOK):
                assert isinstance(connection, Connection)
                yield from self._hear(connection)
            if self._members and should_stop():
                raise CancelledError("cancelled; finished tiles are kept")

    def end(self) -> None:
        """End every process."""
        for connection, member in self._members.items():
            connection.close()
            member.process.terminate()
        for member in self._members.values():
            member.process.join()

    def _hire(self, place: int) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        device = self._settings.devices[place % len(self._settings.devices)]
        arguments = (there, self._manifest, device, self._settings.threads)
        process = context.Process(target=_evaluate_orders, args=arguments, daemon=True)
        process.start()
        there.close()  # so that its death is heard as the end of the pipe
        self._members[here] = _Member(process, place)
        self._give(here)

    def _give(self, connection: Connection) -> None:
        """Give the next tile, or let the process go when none is left."""
        member = self._members[connection]
        member.number = self._left.popleft() if self._left else None
        if member.number is not None:
            with suppress(BrokenPipeError):  # that it died is heard when it is listened to
                connection.send(self._orders[member.number])
            return
        del self._members[connection]
        connection.close()
        member.process.join()

    def _hear(self, connection: Connection) -> Iterator[tuple[int, Arrays]]:
        member = self._members[connection]
        assert member.number is not None
        try:
            found = connection.recv()
        except (EOFError, OSError):
            self._replace(connection)
            return
        if isinstance(found, BaseException):
            raise found
        yield member.number, found
        self._give(connection)

    def _replace(self, connection: Connection) -> None:
        """Put the tile of a process that died back in front, and hire another for it."""
        member = self._members.pop(connection)
        connection.close()
        member.process.join()
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            raise RunError(
                f"{self._deaths} processes that evaluate tiles died, the last with exit code "
                f"{member.process.exitcode}. {MEMORY_ADVICE}"
            )
        assert member.number is not None
        self._left.appendleft(member.number)
        self._hire(member.place)


@dataclass
class _Member:
    """One process, which device's turn it took, and the tile that it has."""

    process: SpawnProcess
    place: int
    number: int | None = None


def _evaluate_orders(connection: Connection, manifest: Manifest, device: str, threads: int) -> None:
    """Evaluate the tiles that come over the pipe until it ends."""
    # A terminal sends Ctrl-C to all; this process is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        station = Station(manifest.read(), device)
    except BasinscopeError as error:
        connection.send(error)
        return
    with suppress(EOFError, BrokenPipeError):
        while True:
            order = connection.recv()
            try:
                connection.send(station.evaluate(order, lambda: False))
            except BasinscopeError as error:
                connection.send(error)


def _end_with_parent() -> None:
    """A killed parent cannot end its processes, so each looks after itself."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        ready([parent.sentinel])
        os._exit(1)
