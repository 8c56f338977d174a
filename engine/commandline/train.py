"""`train RECIPE`: make a checkpoint from a recipe and a seed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from engine.checkpoints import write_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_file, output_folder
from engine.commandline.output import add_json, print_json
from engine.program import save_program
from engine.training import RECIPES, TrainProgress, resolve_options, train

CHOICES = (
    "width",
    "optimiser",
    "rate",
    "epochs",
    "batch_size",
    "data",
    "norm",
    "shortcut",
    "depth",
    "schedule",
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("train", help="train a model from a recipe and a seed")
    parser.add_argument("recipe", metavar="RECIPE", help=", ".join(RECIPES))
    parser.add_argument("--seed", type=values.seed, required=True)
    parser.add_argument(
        "--out", metavar="FILE", required=True, help="safetensors file to write, or .pt2"
    )
    parser.add_argument("--width", type=values.positive, help="units, or width multiplier")
    parser.add_argument("--optimiser", help="adam, sgd or adamw")
    parser.add_argument("--rate", type=float, help="learning rate (with a warm-up, its peak)")
    parser.add_argument(
        "--schedule",
        help="constant; cosine: a warm-up, then down to zero; cooldown: constant, its last fifth "
        "straight to zero",
    )
    parser.add_argument("--epochs", type=values.positive)
    parser.add_argument("--batch-size", type=values.positive)
    parser.add_argument("--data", help="data set or file instead of the recipe's")
    parser.add_argument("--norm", help="batch or layer, where the recipe has a choice")
    parser.add_argument("--shortcut", help="A, B or 3x3, where the recipe has a choice")
    parser.add_argument("--depth", type=values.positive, help="blocks of a transformer")
    parser.add_argument("--device", type=values.device, default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--checkpoints", metavar="DIR", help="also write epoch-001.safetensors and so on here"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train and write.

    Raises:
        BasinscopeError: an option makes no sense, or there is no data.
    """
    chosen = {name: getattr(options, name) for name in CHOICES}
    metadata = resolve_options(options.recipe, seed=options.seed, **chosen).metadata()
    output_folder(str(Path(options.out).parent))
    output_file(options.out)
    quiet = not sys.stderr.isatty()  # a log gets its line for each epoch alone
    with tqdm(unit="step", desc=options.recipe, file=sys.stderr, disable=quiet) as bar:
        result = train(
            options.recipe,
            seed=options.seed,
            **chosen,
            device=options.device,
            progress=lambda at: _show(bar, at),
            checkpoints=_epoch_writer(options.checkpoints, metadata),
        )
    if Path(options.out).suffix == ".pt2":
        save_program(result.module(), result.example, options.out)
    else:
        write_checkpoint(result.tensors, options.out, metadata)
    last = result.history[-1]
    if options.json:
        print_json({"file": options.out, **asdict(last)})
        return
    print(f"written to {options.out}: {_line(last)}")


def _show(bar: tqdm, at: TrainProgress) -> None:
    bar.total = at.steps
    bar.set_postfix_str(f"epoch {at.epoch}, loss {at.loss:.4f}", refresh=False)
    bar.update(at.step - bar.n)
    if at.finished is not None:
        bar.write(_line(at.finished), file=sys.stderr)


def _line(record: object) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in vars(record).items())


def _epoch_writer(folder: str | None, metadata: Mapping[str, str]):
    if folder is None:
        return None
    output_folder(folder)

    def write(epoch: int, tensors: Mapping[str, Tensor]) -> None:
        path = Path(folder) / f"epoch-{epoch:03d}.safetensors"
        write_checkpoint(tensors, path, {**metadata, "epoch": str(epoch)})

    return write
