"""`merge A B C …`: many checkpoints made one, held against each and against their ensemble."""

from __future__ import annotations

import argparse

from engine.checkpoints import load_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_file
from engine.commandline.output import StageBar, add_json, byte_bar, print_json
from engine.commandline.text_table import text_table
from engine.figures.merge import merge_headline, score_rows
from engine.merging.methods import CONSISTENT, MERGE_MANY, MERGES
from engine.repair.catalogue import REPAIRS
from engine.studies.merge import merge
from engine.studies.merge_files import check_suffix
from engine.studies.merge_models import check_count
from engine.studies.merge_options import MergeOptions


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("merge", help="align two to many models and average them")
    parser.add_argument(
        "models", metavar="MODEL", nargs="+", help="two or more: path or org/name[@rev][:file]"
    )
    parser.add_argument(
        "--method",
        choices=tuple(MERGES),
        default=MERGE_MANY,
        help=f"{MERGE_MANY} (default), {CONSISTENT}, or a method for two: each further model is "
        "matched to the first",
    )
    parser.add_argument(
        "--method-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the method, such as restarts=4",
    )
    parser.add_argument(
        "--repair",
        action="append",
        default=[],
        choices=tuple(REPAIRS),
        help="done to the merged model, may be given again",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the merged checkpoint here")
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
    parser.add_argument("--seed", type=values.seed, default=0, help="of the method")
    parser.add_argument(
        "--repair-samples", type=values.positive, default=1000, help="training samples of repairs"
    )
    parser.add_argument("--device", type=values.device, help="cpu or cuda")
    values.add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Merge, write and report.

    Raises:
        BasinscopeError: the models, the data or an option cannot be used.
    """
    if options.output is not None:
        check_suffix(output_file(options.output, *options.models))
    chosen = _options(options)
    check_count(len(options.models))
    models = [load_checkpoint(source, progress=byte_bar()) for source in options.models]
    bar = StageBar()
    try:
        result = merge(models, options=chosen, progress=bar, device=options.device)
    finally:
        bar.close()
    if options.output is not None:
        result.write(options.output)
    if options.json:
        print_json({**result.summary, **result.provenance, "output": options.output})
        return
    print(merge_headline(result.summary))
    print(text_table(score_rows(result.summary)))
    for note in result.summary["repair"]["notes"]:
        print(note)
    if options.output is not None:
        print(f"written to {options.output}")


def _options(options: argparse.Namespace) -> MergeOptions:
    return MergeOptions(
        method=options.method,
        method_options=values.pairs(options.method_option, "--method-option"),
        repairs=tuple(options.repair),
        data=options.data,
        train_split=options.train_split,
        test_split=options.test_split,
        samples=options.samples,
        data_seed=options.data_seed,
        mean=options.mean,
        std=options.std,
        seed=options.seed,
        repair_samples=options.repair_samples,
        family=values.pairs(options.option),
    )
