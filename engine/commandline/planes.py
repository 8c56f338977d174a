"""`plane KIND CHECKPOINT…`: the loss on a plane of another kind, with its geometry checks."""

from __future__ import annotations

import argparse

from engine.checkpoints import load_checkpoint
from engine.commandline import values
from engine.commandline.destination import output_folder
from engine.commandline.output import StageBar, add_json, byte_bar, print_json
from engine.commandline.text_table import text_table
from engine.figures.planes import check_rows, model_rows, planes_headline
from engine.figures.planes_html import planes_html
from engine.landscape.direction import SCALINGS
from engine.runs.executors import tile_executor
from engine.studies.planes import plane
from engine.studies.planes_options import KINDS, SPLITS, PlanesOptions, check_kind


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plane", help="a plane through three models, or around one, or of a training"
    )
    parser.add_argument(
        "kind",
        metavar="KIND",
        choices=tuple(KINDS),
        help="three: through three checkpoints; random: two random directions around one; pca: "
        "principal components of a training's checkpoints, in order; hessian: the two most curved "
        "directions at one",
    )
    parser.add_argument(
        "models", metavar="CHECKPOINT", nargs="+", help="path or org/name[@rev][:file]"
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="write result and report here")
    _add_plane(parser)
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
    parser.add_argument(
        "--reset",
        action=argparse.BooleanOptionalAction,
        help="recompute BatchNorm statistics at each point (default: where there are any)",
    )
    parser.add_argument("--reset-samples", type=values.positive, default=1000)
    parser.add_argument("--device", type=values.device, help="cpu or cuda")
    values.add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def _add_plane(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of the plane itself."""
    usual = PlanesOptions()
    parser.add_argument("--points", type=values.side, default=usual.resolution, help="per axis")
    parser.add_argument(
        "--extent",
        type=values.numbers,
        metavar="U0,U1,V0,V1",
        help="of the grid, in the plane's unit; --extent=-1,1,-1,1 (default: by kind)",
    )
    parser.add_argument("--split", choices=SPLITS, default=usual.split, help="of the losses")
    parser.add_argument("--seed", type=values.seed, default=0, help="of directions and matching")
    parser.add_argument(
        "--scaling", choices=SCALINGS, default=usual.scaling, help="random: what keeps its norm"
    )
    parser.add_argument(
        "--vectors", action="store_true", help="random: move biases and norm parameters too"
    )
    parser.add_argument(
        "--matched", action="store_true", help="three, pca: match the checkpoints first"
    )
    parser.add_argument("--hessian-samples", type=values.positive, default=usual.hessian_samples)
    parser.add_argument("--tolerance", type=float, default=usual.tolerance, help="hessian")
    parser.add_argument(
        "--most-products", type=values.positive, default=usual.most_products, help="hessian"
    )


def run(options: argparse.Namespace) -> None:
    """Evaluate, write and report.

    Raises:
        BasinscopeError: the models, the data or an option cannot be used.
    """
    check_kind(options.kind, len(options.models), options.matched)
    chosen = _options(options)
    folder = None if options.output is None else output_folder(options.output)
    models = [load_checkpoint(source, progress=byte_bar()) for source in options.models]
    bar = StageBar()
    try:
        result = plane(
            options.kind,
            models,
            options=chosen,
            progress=bar,
            device=options.device,
            executor=tile_executor(),
        )
    finally:
        bar.close()
    if folder is not None:
        result.save(folder)
        page = planes_html(result.arrays, result.summary, result.provenance)
        (folder / "report.html").write_text(page, encoding="utf-8")
    if options.json:
        print_json({**result.summary, **result.provenance, "output": options.output})
        return
    print(planes_headline(result.summary))
    print(text_table(model_rows(result.summary)))
    print(text_table(check_rows(result.summary)))
    if folder is not None:
        print(f"written to {options.output}: open report.html there")


def _options(options: argparse.Namespace) -> PlanesOptions:
    return PlanesOptions(
        resolution=options.points,
        extent=options.extent,
        split=options.split,
        seed=options.seed,
        scaling=options.scaling,
        vectors=options.vectors,
        matched=options.matched,
        hessian_samples=options.hessian_samples,
        tolerance=options.tolerance,
        most_products=options.most_products,
        data=options.data,
        train_split=options.train_split,
        test_split=options.test_split,
        samples=options.samples,
        data_seed=options.data_seed,
        mean=options.mean,
        std=options.std,
        reset=options.reset,
        reset_samples=options.reset_samples,
        family=values.pairs(options.option),
    )
