"""Many networks merged into one, on MNIST: five of one recipe, and two that saw different labels.

`python -m benchmarks.merging many A B C …` merges networks that are there (the recipe
`mnist-mlp` with other seeds) by both methods for many. `python -m benchmarks.merging split
FOLDER` does the paper's split of the training set on MNIST (Git Re-Basin, Ainsworth et al.
2022, Section 5: there on CIFAR-100): A sees 20 % of the labels 0 to 4 and 80 % of 5 to 9, B the
rest. It trains A, B and a third network on all the data into FOLDER, unless they are there.
Every number is over the complete MNIST; the tables of docs/merging.md are what this prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from engine.data import fit_data, load_dataset
from engine.data.load import read_raw
from engine.families import checkpoint_program, recognise_checkpoint
from engine.merging.methods import CONSISTENT, MERGE_MANY
from engine.repair import ensemble
from engine.repair.catalogue import TEMPERATURE
from engine.studies.merge import merge
from engine.studies.merge_options import MergeOptions
from engine.studies.merge_result import MergeResult
from engine.studies.merge_scores import ENSEMBLE, INPUT, MERGED, NAIVE, QUANTITIES, REPAIRED
from engine.training import train

DATA = "mnist-full"
SHARE = 0.2
"""Of the first half of the labels, and what the second network sees of the second half."""
FIRST_HALF = 5
HEAD = """| | test loss | test accuracy | test ECE | train loss | train accuracy | train ECE |
|---|---|---|---|---|---|---|"""


def split_by_labels(targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the indices that A and B see: every sample once, each class by its share.

    Args:
        targets: int64 [N].
        share: of each label 0 to 4 for A; of each label 5 to 9 for B.
        seed: of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    for_a = torch.zeros(len(targets), dtype=torch.bool)
    for label in targets.unique().tolist():
        own = (targets == label).nonzero().flatten()
        own = own[torch.randperm(len(own), generator=generator)]
        wanted = share if label < FIRST_HALF else 1 - share
        for_a[own[: round(wanted * len(own))]] = True
    return for_a.nonzero().flatten(), (~for_a).nonzero().flatten()


def split_networks(folder: Path, seed: int = 0) -> tuple[Checkpoint, ...]:
    """Return A, B and the network of all the data, trained into `folder` where they are not."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = read_raw(DATA, "train")
    parts = dict(zip("ab", split_by_labels(raw.targets, SHARE, seed), strict=True))
    for name, chosen in parts.items():
        images, targets = raw.tensors[0][chosen].numpy(), raw.targets[chosen].numpy()
        np.savez(folder / f"{name}.npz", inputs=images, targets=targets)
    seen = {name: str(folder / f"{name}.npz") for name in parts} | {"full": DATA}
    found = []
    for number, (name, data) in enumerate(seen.items(), start=1):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            result = train("mnist-mlp", seed=number, data=data)
            write_checkpoint(result.tensors, path, result.options.metadata())
        found.append(read_checkpoint(path))
    return tuple(found)


def merged(networks: Sequence[Checkpoint], method: str, repairs: tuple[str, ...]) -> MergeResult:
    """Return a merge judged on the complete data."""
    options = MergeOptions(method=method, repairs=repairs, data=DATA, samples=None)
    return merge(networks, options=options)


def line(title: str, row: Mapping[str, Any]) -> str:
    """Return a line of a Markdown table."""
    cells = [f"{row[s][name]:.4f}" for s in ("test", "train") for name in QUANTITIES]
    return f"| {title} | {' | '.join(cells)} |"


def print_many(networks: Sequence[Checkpoint]) -> None:
    """Print what each method makes of many networks."""
    print(HEAD)
    for place, method in enumerate((MERGE_MANY, CONSISTENT, "weight")):
        found = merged(networks, method, (TEMPERATURE,))
        rows = {row["kind"]: row for row in found.summary["rows"]}
        if not place:
            for row in found.summary["rows"]:
                if row["kind"] in (INPUT, NAIVE, ENSEMBLE):
                    print(line(row["title"], row))
            print(line("mean of the inputs", found.summary["mean"]))
        print(line(method, rows[MERGED]))
        print(line(f"{method}, temperature", rows[REPAIRED]))
        alignment = found.summary["alignment"]
        print(
            f"<!-- {method}: objective {alignment['objective']:.1f} from "
            f"{alignment['objective_identity']:.1f} in {alignment['rounds']} rounds, "
            f"{found.provenance['alignment_seconds']} s -->",
            flush=True,
        )


def print_split(a: Checkpoint, b: Checkpoint, full: Checkpoint) -> None:
    """Print what becomes of two networks that saw different labels, beside one that saw all."""
    print(HEAD)
    for place, method in enumerate(("weight", "activation")):
        found = merged((a, b), method, (TEMPERATURE,))
        for row in found.summary["rows"]:
            if not place or row["kind"] in (MERGED, REPAIRED):
                title = row["title"] if row["kind"] in (INPUT, NAIVE, ENSEMBLE) else method
                print(line(f"{title}, temperature" if row["kind"] == REPAIRED else title, row))
    recognition = recognise_checkpoint(full)
    program = checkpoint_program(full, recognition)
    scores = {}
    for split in ("test", "train"):
        data = fit_data(load_dataset(DATA, split), program.inputs, None)
        scores[split] = vars(ensemble(program, [full.tensors], data))
    print(line("one network trained on all", scores), flush=True)


def main() -> None:
    """Merge what the command line names and print the table."""
    parser = argparse.ArgumentParser(description="Many networks merged into one, on MNIST.")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("many").add_argument("networks", nargs="+", type=Path)
    parts.add_parser("split").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.part == "split":
        print_split(*split_networks(options.folder))
    else:
        print_many([read_checkpoint(path) for path in options.networks])


if __name__ == "__main__":
    main()
