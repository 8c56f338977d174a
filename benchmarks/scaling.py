"""How the time of an evaluation grows, and what further workers bring.

Growth: seconds of processor time on one thread against points, images, parameters and models (K),
each doubled twice from a common middle, with the exact plan on perceptrons of random weights.
`--picture` draws them with the straight line that fits best.

Workers: wall seconds of the plane of the built-in pair (`--resolution` points per axis, 10 000
images) with one and with two workers of one thread each: processes of this machine, and nodes of a
local Ray cluster. Starting them counts in `all`; `after the start` counts from when each has
finished its first tile. The machine must have nothing else to do.

    python -m benchmarks.scaling [--rounds N] [--only growth processes ray] [--resolution N]
                                 [--picture FILE.png]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots
from torch import nn

from benchmarks.landscape import Samples
from engine import load_checkpoint
from engine.figures import png_bytes
from engine.figures.palette import palette
from engine.figures.style import styled
from engine.landscape import Span, evaluate, make_plane
from engine.landscape.plans import exact
from engine.program import capture
from engine.runs.executors import InProcesses, OnRay
from engine.studies.evaluation import TileExecutor, Work
from engine.studies.options import CompareOptions
from engine.studies.recipe import ProgramRecipe
from engine.studies.subject import load_split, prepare
from engine.studies.tiles import Tile, split_into_tiles

MIDDLE = {"points": 8, "images": 2000, "width": 512, "models": 3}
"""What stays the same while one of them changes."""

GROWTH: Mapping[str, tuple[int, ...]] = {
    "points": (4, 8, 16, 32),
    "images": (1000, 2000, 4000, 8000),
    "width": (256, 512, 1024, 2048),
    "models": (2, 4, 8, 16),
}
Growth = dict[str, tuple[list[int], list[float]]]
"""What grows → its sizes, and the seconds of each."""

DEMO = Path(__file__).parent.parent / "assets" / "demo"


def perceptron(width: int) -> nn.Module:
    """Return an MLP of three hidden layers, randomly initialised."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise((784, width, width, width)):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def seconds(points: int, images: int, width: int, models: int, rounds: int) -> tuple[float, int]:
    """Return processor seconds of one evaluation, median of rounds, and the parameters."""
    torch.manual_seed(0)
    modules = [perceptron(width) for _ in range(models)]
    program = capture(modules[0], torch.zeros(2, 784))
    span = Span(
        tuple(map(str, range(models))),
        tuple({name: t.detach() for name, t in m.state_dict().items()} for m in modules),
    )
    rows = torch.rand(points, models, dtype=torch.float64)
    rows /= rows.sum(1, keepdim=True)
    data = Samples(torch.rand(images, 784), torch.randint(0, 10, (images,)))
    found = []
    for _ in range(rounds + 1):
        start = time.process_time()
        evaluate(program, span, rows, data, plan=exact())
        found.append(time.process_time() - start)
    return statistics.median(found[1:]), sum(p.numel() for p in modules[0].parameters())


def growth(rounds: int) -> Growth:
    """Print the table of growth, and return what it is made from."""
    found: Growth = {}
    print("| what grows | from, to | seconds | growth of it | of the time |\n|---|---|---|---|---|")
    for name, sizes in GROWTH.items():
        rows = [seconds(**{**MIDDLE, name: size}, rounds=rounds) for size in sizes]
        units = [count for _, count in rows] if name == "width" else list(sizes)
        title = "parameters" if name == "width" else name
        found[title] = units, [spent for spent, _ in rows]
        times = " ".join(f"{spent:.3g}" for spent, _ in rows)
        print(
            f"| {title} | {units[0]:,} to {units[-1]:,} | {times} | {units[-1] / units[0]:.3g}× | "
            f"{rows[-1][0] / rows[0][0]:.3g}× |",
            flush=True,
        )
    return found


def picture(found: Growth) -> go.Figure:
    """Return one panel per thing that grows, each with the straight line that fits best."""
    colours = palette("light")
    titles = [f"{title}: R² = {_fit(*series)[1]:.4f}" for title, series in found.items()]
    figure = make_subplots(1, len(found), subplot_titles=titles, horizontal_spacing=0.06)
    for column, series in enumerate(found.values(), start=1):
        units, spent = series
        ends = np.array([0, units[-1]])
        straight = {"color": colours.muted, "dash": "dot", "width": 2}
        height = np.polyval(_fit(units, spent)[0], ends)
        figure.add_scatter(x=ends, y=height, mode="lines", line=straight, row=1, col=column)
        dots = {"color": colours.models["A"], "size": 10}
        figure.add_scatter(x=units, y=spent, mode="markers", marker=dots, row=1, col=column)
    styled(figure, colours, height=300)
    figure.update_xaxes(rangemode="tozero", nticks=5, showline=True)
    figure.update_yaxes(rangemode="tozero", showline=True)
    figure.update_yaxes(title_text="seconds", row=1, col=1)
    return figure


def _fit(units: Sequence[int], spent: Sequence[float]) -> tuple[np.ndarray, float]:
    """Return slope and height of the line of least squares, and its share of the variance."""
    line = np.polyfit(units, spent, 1)
    left = np.sum((np.array(spent) - np.polyval(line, units)) ** 2)
    return line, float(1 - left / np.sum((np.array(spent) - np.mean(spent)) ** 2))


def plane(resolution: int) -> tuple[Work, tuple[Tile, ...]]:
    """Return the work and the tiles of the built-in pair's plane."""
    a, b = (load_checkpoint(DEMO / f"mnist-mlp-seed{seed}.safetensors") for seed in range(2))
    subject = prepare(a, b, None, {})
    models = [{n: m.tensors[n] for n in subject.program.parameters} for m in (a, b)]
    generator = torch.Generator().manual_seed(0)
    third = {n: torch.randn(t.shape, generator=generator) * t.std() for n, t in models[0].items()}
    laid = make_plane(*models, third, resolution=resolution)
    data = load_split(CompareOptions(samples=None), "test", subject.program, None)
    recipe = ProgramRecipe.of(subject, {})
    work = Work(subject.program, recipe, {"test": data}, None, "cpu")
    return work, split_into_tiles("plane", laid.span, laid.coefficients, "test")


def timed(executor: TileExecutor, workers: int, resolution: int) -> tuple[float, float]:
    """Return wall seconds of all tiles, and of a tile once all workers have done their first."""
    work, tiles = plane(resolution)
    ends: list[float] = []
    start = time.perf_counter()
    executor.run(
        work,
        tiles,
        finished=lambda tile, arrays: ends.append(time.perf_counter()),
        point=lambda tile: None,
        should_stop=lambda: False,
    )
    rest = (ends[-1] - ends[workers - 1]) / (len(ends) - workers)
    return ends[-1] - start, rest


def compared(title: str, run: Callable[[int], tuple[float, float]], rounds: int) -> None:
    """Print one row: one worker and two, alternating."""
    found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    for _ in range(rounds):
        for workers, into in found.items():
            into.append(run(workers))
    (one, one_rest), (two, two_rest) = (
        tuple(statistics.median(column) for column in zip(*rows, strict=True))
        for rows in found.values()
    )
    print(
        f"| {title} | {one:.1f} s | {two:.1f} s | {one / two:.2f}× | {one_rest / two_rest:.2f}× |",
        flush=True,
    )


def on_ray(workers: int, resolution: int) -> tuple[float, float]:
    """Return `timed` on a local cluster with a node of one core per worker."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        import ray
        from ray.cluster_utils import Cluster
    node = {"num_cpus": 1, "object_store_memory": 10**9}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(workers - 1):
            nodes.add_node(**node)
        return timed(OnRay(nodes.address), workers, resolution)
    finally:
        ray.shutdown()
        nodes.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resolution", type=int, default=20, help="points along a plane's axis")
    parts = ("growth", "processes", "ray")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--picture", type=Path, help="draw the growth as PNG here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if "growth" in options.only:
        found = growth(options.rounds)
        if options.picture:
            options.picture.write_bytes(png_bytes(picture(found), width=1200))
    if set(options.only) - {"growth"}:
        print("\n| workers | one | two | all | after the start |\n|---|---|---|---|---|")
    if "processes" in options.only:
        compared(
            "processes of this machine",
            lambda workers: timed(InProcesses(workers, threads=1), workers, options.resolution),
            options.rounds,
        )
    if "ray" in options.only:
        compared(
            "nodes of a local Ray cluster",
            lambda workers: on_ray(workers, options.resolution),
            options.rounds,
        )


if __name__ == "__main__":
    main()
