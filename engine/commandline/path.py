"""`path A B`: a curve of low loss from A to B, or to π(B), beside the straight line."""

from __future__ import annotations

import argparse

from engine.checkpoints import load_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_folder
from engine.commandline.output import StageBar, add_json, byte_bar, print_json
from engine.commandline.text_table import left_table
from engine.errors import TrainingError
from engine.figures.path import barrier_table, path_detail, path_headline, path_proof
from engine.landscape.curve import SHAPES
from engine.matching.methods import METHODS
from engine.runs.executors import tile_executor
from engine.studies.path import path
from engine.studies.path_options import BOTH, PI_B, B, PathOptions
from engine.training.bend_options import OPTIMISERS


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("path", help="train a curve of low loss between two models")
    parser.add_argument("a", metavar="A", help="where it begins: path or org/name[@rev][:file]")
    parser.add_argument("b", metavar="B", help="where it ends, as it is or permuted")
    parser.add_argument(
        "--end",
        choices=(B, PI_B, BOTH),
        default=B,
        help="B as it is (default), B matched to A, or a curve to each",
    )
    _add_training(parser)
    parser.add_argument(
        "--method", choices=tuple(METHODS), default="weight", help="that finds π (default weight)"
    )
    parser.add_argument(
        "--method-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the method, such as restarts=4",
    )
    parser.add_argument(
        "--data", default="mnist", help="data set or .npz, .safetensors, .txt file (default mnist)"
    )
    parser.add_argument("--train-split", default="train")
    parser.add_argument("--test-split", default="test")
    parser.add_argument(
        "--samples", type=values.samples, default=2000, help="samples per split, or 'all'"
    )
    parser.add_argument("--data-seed", type=values.seed, default=0, help="of the drawn samples")
    parser.add_argument("--mean", type=values.numbers, help="comma-separated, per channel")
    parser.add_argument("--std", type=values.numbers, help="comma-separated, per channel")
    parser.add_argument("--points", type=values.line_points, default=25, help="points per curve")
    parser.add_argument("--plane", type=_side, default=25, help="points per axis, 0 for no plane")
    parser.add_argument(
        "--extent",
        type=values.numbers,
        metavar="U0,U1,V0,V1",
        help="of the plane, in units of the ends' distance; --extent=-1,2,-1,1 (default: a square "
        "around the curve)",
    )
    parser.add_argument(
        "--reset",
        action=argparse.BooleanOptionalAction,
        help="recompute BatchNorm statistics at each point (default: where there are any)",
    )
    parser.add_argument("--reset-samples", type=values.positive, default=1000, help="for BatchNorm")
    parser.add_argument("--device", type=values.device, help="cpu or cuda")
    parser.add_argument("-o", "--output", metavar="DIR", help="write numbers and bends here")
    values.add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def _add_training(parser: argparse.ArgumentParser) -> None:
    usual = PathOptions()
    parser.add_argument("--shape", choices=SHAPES, default=usual.shape)
    parser.add_argument(
        "--bends", type=values.positive, default=usual.bends, help="models between the ends"
    )
    parser.add_argument("--epochs", type=values.positive, default=usual.epochs)
    parser.add_argument("--batch-size", type=values.positive, default=usual.batch_size)
    parser.add_argument("--optimiser", choices=OPTIMISERS, default=usual.optimiser)
    parser.add_argument("--rate", type=float, default=usual.rate, help="learning rate")
    parser.add_argument(
        "--weight-decay", type=float, default=usual.weight_decay, help="of the point on the curve"
    )
    parser.add_argument("--seed", type=values.seed, default=0, help="of training and matching")
    parser.add_argument(
        "--start",
        action="append",
        default=[],
        metavar="MODEL",
        help="a bend to begin with, once for each; by default they lie on the straight line",
    )


def run(options: argparse.Namespace) -> int:
    """Train, evaluate, write and report.

    Returns:
        0, or 1 where a training diverged.

    Raises:
        BasinscopeError: the pair, the model, the data or an option cannot be used.
    """
    asked = _options(options)
    if options.start and len(options.start) != asked.bends:
        raise TrainingError(
            f"--start was given {len(options.start)} times for {asked.bends} bends; give it once "
            "for each"
        )
    folder = None if options.output is None else output_folder(options.output)
    a, b, *start = (
        load_checkpoint(source, progress=byte_bar())
        for source in (options.a, options.b, *options.start)
    )
    bar = StageBar()
    try:
        result = path(
            a,
            b,
            options=asked,
            start=[one.tensors for one in start] or None,
            progress=bar,
            device=options.device,
            executor=tile_executor(),
        )
    finally:
        bar.close()
    if folder is not None:
        result.save(folder)
    problem = path_proof(result.summary)
    if options.json:
        print_json({**result.summary, "seconds": result.provenance["seconds"]})
        return int(problem is not None)
    print(path_headline(result.summary))
    print(path_detail(result.summary))
    print(left_table(barrier_table(result.summary)))
    if problem:
        print(problem)
    if folder is not None:
        print(f"written to {options.output}")
    return int(problem is not None)


def _side(text: str) -> int:
    """Return a plane's points per axis (an argparse type); it is a square one."""
    across, along = values.plane_points(text)
    if along is not None:
        raise argparse.ArgumentTypeError("must be one number: the plane of a curve is a square")
    return across


def _options(options: argparse.Namespace) -> PathOptions:
    return PathOptions(
        end=options.end,
        shape=options.shape,
        bends=options.bends,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimiser=options.optimiser,
        rate=options.rate,
        weight_decay=options.weight_decay,
        method=options.method,
        method_options=values.pairs(options.method_option, "--method-option"),
        data=options.data,
        train_split=options.train_split,
        test_split=options.test_split,
        samples=options.samples,
        data_seed=options.data_seed,
        mean=options.mean,
        std=options.std,
        seed=options.seed,
        points=options.points,
        plane_points=options.plane,
        extent=options.extent,
        reset=options.reset,
        reset_samples=options.reset_samples,
        family=values.pairs(options.option),
    )
