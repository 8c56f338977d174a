"""Tiles evaluated on an existing Ray cluster (`requirements-ray.txt`).

Weights and data are put into Ray's object store, which holds them once per node; every task maps
them. A tile whose node or process is lost is evaluated again, by Ray itself. Each node needs the
same versions of Basinscope and torch: Basinscope is sent along, what it needs is not.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.errors import BasinscopeError, CancelledError, RunError
from engine.runs.executors.cargo import Cargo, Order, Station, load_cargo
from engine.studies.evaluation import Finished, Work
from engine.studies.tiles import Tile

LOOK = 0.2
"""Seconds between two questions whether to stop."""

PATIENCE = 5.0
"""Seconds in which a cluster has to answer."""

MOST_RETRIES = 3
MISSING = "Ray is not installed here; run: pip install -r requirements-ray.txt"


class OnRay:
    """Evaluates tiles as tasks of a Ray cluster.

    Args:
        address: of the cluster, "host:port" or "auto"; None joins what this process has joined
            already, or RAY_ADDRESS.
        cpus: cores, and torch threads, of a task.
        gpus: GPUs of a task; None takes 1 where the cluster has any.

    Raises:
        RunError: Ray is not installed.
    """

    def __init__(
        self, address: str | None = None, *, cpus: int = 1, gpus: float | None = None
    ) -> None:
        try:
            import ray
        except ImportError:
            raise RunError(MISSING) from None
        self._ray, self.address, self.cpus, self.gpus = ray, address, cpus, gpus

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
            RunError: no cluster answers, the Program was given in Python, or a tile was lost
                more often than it is retried.
        """
        if not tiles:
            return
        cargo, orders = load_cargo(work, tiles)
        self._join()
        ray = self._ray
        placed = ray.put(cargo)
        task = ray.remote(
            num_cpus=self.cpus, num_gpus=self._gpus(), max_retries=MOST_RETRIES, max_calls=0
        )(_evaluate)
        # In a list the reference is passed on as it is: each process fetches the cargo once.
        running = {
            task.remote([placed], placed.hex(), order, self.cpus): tile
            for order, tile in zip(orders, tiles, strict=True)
        }
        try:
            self._collect(running, finished, should_stop)
        finally:
            for reference in running:
                ray.cancel(reference)

    def _join(self) -> None:
        if self._ray.is_initialized():
            return
        engine = Path(__file__).resolve().parents[2]
        before = signal.getsignal(signal.SIGTERM)
        try:
            _check_answers(self.address)
            self._ray.init(
                address=self.address or "auto",
                log_to_driver=False,
                configure_logging=False,
                runtime_env={"py_modules": [str(engine)]},
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = self.address or "RAY_ADDRESS or on this machine"
            raise RunError(
                f"No Ray cluster answers at {where}: {_first_line(error)}. Start one with "
                "`ray start --head`, or leave BASINSCOPE_RAY_ADDRESS unset to compute here."
            ) from error
        finally:
            # Ray takes SIGTERM for itself; to a worker it means to finish its tile first.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)

    def _gpus(self) -> float:
        if self.gpus is not None:
            return self.gpus
        return 1.0 if self._ray.cluster_resources().get("GPU", 0) else 0.0

    def _collect(
        self, running: dict[Any, Tile], finished: Finished, should_stop: Callable[[], bool]
    ) -> None:
        while running:
            done, _ = self._ray.wait(list(running), num_returns=1, timeout=LOOK)
            for reference in done:
                arrays = self._fetch(reference, running[reference])
                finished(running.pop(reference), arrays)
            if running and should_stop():
                raise CancelledError("cancelled; finished tiles are kept")

    def _fetch(self, reference: Any, tile: Tile) -> Mapping[str, np.ndarray]:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, BasinscopeError):
                raise error.cause from None
            raise RunError(f"Tile {tile.key} failed on the cluster: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise RunError(
                f"Tile {tile.key} was lost on the cluster {MOST_RETRIES + 1} times: "
                f"{_first_line(error)}"
            ) from error


_stations: dict[str, Station] = {}
"""The last cargo unpacked in this process of the cluster."""


def _evaluate(placed: list[Any], name: str, order: Order, threads: int) -> dict[str, np.ndarray]:
    import ray

    torch.set_num_threads(threads)
    if name not in _stations:
        _stations.clear()
        cargo: Cargo = ray.get(placed[0])
        _stations[name] = Station(cargo, "cuda" if ray.get_gpu_ids() else "cpu")
    return _stations[name].evaluate(order, lambda: False)


def _check_answers(address: str | None) -> None:
    """Raise OSError at once where nothing listens; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), PATIENCE).close()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
