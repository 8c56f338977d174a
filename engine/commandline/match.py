"""`match A B`: the permutation of B that aligns it with A."""

from __future__ import annotations

import argparse

import torch

from engine.checkpoints import (
    about,
    load_checkpoint,
    stated_metadata,
    stated_options,
)
from engine.commandline.destination import output_file
from engine.commandline.methods import add_method_options, check_method, details, matched
from engine.commandline.output import add_json, byte_bar, print_json
from engine.commandline.values import add_family_options, device, pairs, samples, seed
from engine.data import load_dataset
from engine.data.fit import fit_data
from engine.matching.methods import METHODS, Counts
from engine.program import Program
from engine.studies.merge_files import check_fits, check_suffix, write_like
from engine.studies.subject import prepare
from engine.symmetry import derive_symmetry, equivalence, prove

RANDOM_SAMPLES = 256


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser("match", help="permute B so that it aligns with A")
    parser.add_argument("a", metavar="A", help="the reference: path or org/name[@rev][:file]")
    parser.add_argument("b", metavar="B", help="the model that is permuted")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write π(B) in the format that its suffix says"
    )
    parser.add_argument("--permutation", metavar="FILE", help="write π itself as safetensors")
    parser.add_argument("--seed", type=seed, default=0, help="of visiting orders and starts")
    add_method_options(parser)
    parser.add_argument(
        "--data", help="what a method sees; π(B) ≡ B is checked on it instead of random inputs"
    )
    parser.add_argument("--samples", type=samples, default=2000, help="samples of it, or 'all'")
    parser.add_argument(
        "--device", type=device, help="cpu or cuda (default: cuda where there is one)"
    )
    add_family_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Match, prove, write and report.

    Raises:
        BasinscopeError: the pair, the model or the data cannot be used.
    """
    check_method(options)
    given = (options.a, options.b)
    if options.output is not None:
        output_file(options.output, *given)
    if options.permutation is not None:
        output_file(options.permutation, *given, *filter(None, [options.output]))
    if options.output is not None:
        check_suffix(options.output)
    a, b = (load_checkpoint(source, progress=byte_bar()) for source in given)
    if options.output is not None:
        check_fits(b.tensors, options.output)
    subject = prepare(a, b, None, pairs(options.option))
    program = subject.program
    inputs, kind = _inputs(program, options)
    symmetry = derive_symmetry(program)
    with about(b):
        prove(program, symmetry, b.tensors, seed=options.seed)
    result = matched(options, program, symmetry, a.tensors, b.tensors)
    pi_b = symmetry.apply(result.permutation, b.tensors)
    same = equivalence(program, b.tensors, pi_b, inputs)
    if options.output:
        stated = stated_options(a.config) or stated_options(b.config)
        write_like(pi_b, options.output, stated_metadata(stated))
    if options.permutation:
        result.permutation.save(options.permutation)
    report = {
        "method": result.method,
        "objective": result.objective,
        "objective_identity": result.objective_identity,
        "trace": list(result.trace),
        "restarts": list(result.restarts),
        "sweeps": result.sweeps,
        "seconds": result.seconds,
        "stop_reason": result.stop_reason.value,
        "max_abs_logit_difference": same.max_abs_logit_difference,
        "max_abs_logit": same.max_abs_logit,
        "checked_on": f"{same.samples} {kind}",
        "output": options.output,
        **details(result),
    }
    if options.json:
        print_json(report)
        return
    print(f"objective {result.objective_identity:.6g} → {result.objective:.6g}")
    step = "sweep" if METHODS[result.method].counts is not Counts.STEPS else "step"
    steps = step if result.sweeps == 1 else f"{step}s"
    print(f"{result.sweeps} {steps} in {result.seconds:.2f} s. {result.stop_reason.sentence}")
    print(
        f"π(B) is B: the largest difference in any logit on {report['checked_on']} is "
        f"{same.max_abs_logit_difference:.1e}"
    )
    if options.output:
        print(f"π(B) written to {options.output}")


def _inputs(program: Program, options: argparse.Namespace) -> tuple[tuple[torch.Tensor, ...], str]:
    if options.data is None:
        generator = torch.Generator().manual_seed(options.seed)
        return program.sample_inputs(RANDOM_SAMPLES, generator), "random inputs"
    data = load_dataset(options.data, "test", samples=options.samples, model_inputs=program.inputs)
    return fit_data(data, program.inputs, None).tensors, f"samples of {data.name}"
