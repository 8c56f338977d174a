"""`compare A B`: barriers, curves, plane and basins before and after permuting B."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from engine.checkpoints import load_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_folder
from engine.commandline.output import StageBar, add_json, byte_bar, print_json
from engine.commandline.plane import add_plane_arguments, plane_choices, plane_sentences
from engine.data import DATASETS
from engine.figures import headline, proof_lead, proof_sentence, standalone_html
from engine.figures.task import DERIVED_KEYS, words
from engine.landscape.plans import PRECISIONS
from engine.runs.executors import tile_executor
from engine.studies.compare import compare
from engine.studies.options import STATISTICS, CompareOptions
from engine.studies.result import CompareResult


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("compare", help="the main job: barriers, curves, plane, basins")
    parser.add_argument("a", metavar="A", help="the reference: path or org/name[@rev][:file]")
    parser.add_argument("b", metavar="B", help="the model that is permuted")
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
    parser.add_argument("--seed", type=values.seed, default=0, help="of the matching")
    parser.add_argument("--restarts", type=values.positive, default=1)
    parser.add_argument("--max-sweeps", type=values.positive, default=100)
    parser.add_argument("--line", type=values.line_points, default=25, help="points per edge")
    add_plane_arguments(parser)
    parser.add_argument(
        "--reset",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="recompute BatchNorm statistics at each point (default: where there are any)",
    )
    parser.add_argument(
        "--statistics",
        choices=STATISTICS,
        help="of the channels at each point: interpolate like weights, reset BatchNorm, or REPAIR",
    )
    parser.add_argument("--reset-samples", type=values.positive, default=1000)
    parser.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        default="exact",
        help="tf32: on CUDA; fast: bfloat16 after the first layers (default exact)",
    )
    parser.add_argument(
        "--device", type=values.device, help="cpu or cuda (default: cuda where there is one)"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="write results and a report here")
    values.add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare, write and report.

    Raises:
        BasinscopeError: the pair, the model, the data or an option cannot be used.
    """
    folder = None if options.output is None else output_folder(options.output)
    a, b = (load_checkpoint(source, progress=byte_bar()) for source in (options.a, options.b))
    bar = StageBar()
    try:
        result = compare(
            a,
            b,
            options=_options(options),
            progress=bar,
            device=options.device,
            executor=tile_executor(),
        )
    finally:
        bar.close()
    if folder is not None:
        result.save(folder)
        page = standalone_html(result.arrays, result.summary, result.provenance)
        (folder / "report.html").write_text(page, encoding="utf-8")
    if options.json:
        print_json(report(result))
        return
    print(headline(result.summary).text)
    print(proof_lead(result.summary), proof_sentence(result.summary))
    print(_table(result.summary))
    told: Mapping[str, Any] = result.summary
    precision = told["precision"]
    for sentence in (told["statistics"]["sentence"], precision["sentence"], precision["warning"]):
        if sentence is not None:
            print(sentence)
    for sentence in plane_sentences(result.summary):
        print(sentence)
    if options.data not in DATASETS:
        print(f"{options.data} is one set: the same samples serve as train and as test")
    if folder is not None:
        print(f"written to {options.output}: open report.html there")


def report(result: CompareResult) -> dict[str, Any]:
    """Return the comparison as the JSON that `--json` prints."""
    summary: Mapping[str, Any] = result.summary
    points = dict(summary["ends"])
    points |= {f"midpoint_{edge}": value for edge, value in summary["midpoints"].items()}

    def column(name: str) -> dict[str, dict[str, float]]:
        return {
            point: {split: numbers[name] for split, numbers in splits.items()}
            for point, splits in points.items()
        }

    return {
        "headline": headline(summary).text,
        "barrier": {
            edge: {split: numbers["git_rebasin"] for split, numbers in splits.items()}
            for edge, splits in summary["barriers"].items()
        },
        "barriers": summary["barriers"],
        "task": summary["task"],
        "loss": column("loss"),
        **{key: column(key) for key in _scores(summary)},
        "basins": summary["basins"],
        "plane": summary["plane"],
        "precision": summary["precision"],
        "statistics": summary["statistics"],
        "matching": summary["matching"],
        "proof": summary["proof"],
        "max_abs_logit_difference": summary["equivalence"]["max_abs_logit_difference"],
        "seconds": result.provenance["seconds"],
    }


def _options(options: argparse.Namespace) -> CompareOptions:
    return CompareOptions(
        data=options.data,
        train_split=options.train_split,
        test_split=options.test_split,
        samples=options.samples,
        data_seed=options.data_seed,
        mean=options.mean,
        std=options.std,
        seed=options.seed,
        restarts=options.restarts,
        max_sweeps=options.max_sweeps,
        line_points=options.line,
        **plane_choices(options),
        reset=options.reset,
        reset_samples=options.reset_samples,
        statistics=options.statistics,
        precision=options.precision,
        family=values.pairs(options.option),
    )


def _table(summary: Mapping[str, Any]) -> str:
    lines, scores = [f"{'':28}{'train':>10}{'test':>10}"], _scores(summary)
    for edge, name in (("naive", "A → B"), ("rebasin", "A → π(B)")):
        for what, source, key in (
            ("barrier", summary["barriers"], "git_rebasin"),
            *((f"midpoint {title}", summary["midpoints"], key) for key, title in scores.items()),
        ):
            cells = "".join(
                f"{number:>10.4f}"
                if (number := source[edge][split][key]) is not None
                else f"{'NaN':>10}"
                for split in ("train", "test")
            )
            lines.append(f"{name + ', ' + what:<28}{cells}")
    return "\n".join(lines)


def _scores(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return what is told of a point beside its loss: its key in a summary → its title."""
    task = words(summary).task
    scores = {"accuracy": task.score} if task.score else {}
    return scores | ({DERIVED_KEYS[task.derived]: task.derived} if task.derived else {})
