"""`methods A B`: several ways of matching and repairing, on one table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from engine.checkpoints import load_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_folder
from engine.commandline.output import StageBar, add_json, byte_bar, print_json
from engine.commandline.text_table import left_table
from engine.errors import SpecError
from engine.figures.methods_tables import ensemble_sentence, methods_headline, methods_rows
from engine.matching.methods import METHODS
from engine.repair.catalogue import REPAIRS
from engine.studies.methods import compare_methods
from engine.studies.methods_options import MethodChoice, MethodsOptions

USUAL = ("weight", "activation")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "methods", help="try several matching methods and repairs on one pair"
    )
    parser.add_argument("a", metavar="A", help="the reference: path or org/name[@rev][:file]")
    parser.add_argument("b", metavar="B", help="the model that is permuted")
    parser.add_argument(
        "--method",
        action="append",
        metavar="KEY[:NAME=VALUE,…]",
        help=f"one of {', '.join(METHODS)}, with its own options; may be given again "
        f"(default {' and '.join(USUAL)})",
    )
    parser.add_argument(
        "--repair",
        action="append",
        choices=tuple(REPAIRS),
        default=[],
        help="evaluate each line with it as well; several are also tried together",
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
    parser.add_argument("--seed", type=values.seed, default=0, help="of the methods")
    parser.add_argument("--line", type=values.line_points, default=25, help="points per line")
    parser.add_argument(
        "--repair-samples", type=values.positive, default=1000, help="that repairs see"
    )
    parser.add_argument(
        "--device", type=values.device, help="cpu or cuda (default: cuda where there is one)"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="write results and permutations here")
    values.add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Try the methods, write and report.

    Returns:
        0, or 1 where no method could be evaluated.

    Raises:
        BasinscopeError: the pair, the model, the data or an option cannot be used.
    """
    asked = _options(options)
    folder = None if options.output is None else output_folder(options.output)
    a, b = (load_checkpoint(source, progress=byte_bar()) for source in (options.a, options.b))
    bar = StageBar(width=44)
    try:
        result = compare_methods(a, b, options=asked, progress=bar, device=options.device)
    finally:
        bar.close()
    if folder is not None:
        result.save(folder)
    if options.json:
        print_json({**result.summary, "seconds": result.provenance["methods"]})
    else:
        print(methods_headline(result.summary))
        print(left_table(methods_rows(result.summary, result.provenance)))
        print(ensemble_sentence(result.summary))
        if folder is not None:
            print(f"written to {options.output}")
    summary: Mapping[str, Any] = result.summary
    return int(all(method["problem"] for method in summary["methods"][1:]))


def choice_of(text: str) -> MethodChoice:
    """Return the method that `KEY[:NAME=VALUE,…]` names.

    Raises:
        SpecError: an option has no value.
        MatchingError: there is no such method or option, or a value makes no sense.
    """
    key, _, rest = text.partition(":")
    try:
        return MethodChoice(key, values.pairs([part for part in rest.split(",") if part]))
    except SpecError:
        raise SpecError(f"--method takes KEY or KEY:NAME=VALUE,…, not '{text}'") from None


def _options(options: argparse.Namespace) -> MethodsOptions:
    return MethodsOptions(
        methods=tuple(choice_of(text) for text in options.method or USUAL),
        repairs=tuple(options.repair),
        data=options.data,
        train_split=options.train_split,
        test_split=options.test_split,
        samples=options.samples,
        data_seed=options.data_seed,
        mean=options.mean,
        std=options.std,
        seed=options.seed,
        line_points=options.line,
        repair_samples=options.repair_samples,
        family=values.pairs(options.option),
    )
