"""What is done to the statistics of channels at every point, and what that costs, in words."""

from __future__ import annotations

from engine.landscape import ResetData
from engine.program import Program
from engine.repair.sites import find_sites

Json = dict[str, object]


def statistics_summary(program: Program, kind: str, samples: ResetData | None, test: int) -> Json:
    """Return what happens at each point and its cost in forward passes.

    Args:
        program: the model.
        kind: `interpolate`, `reset` or `repair`.
        samples: training inputs that each point sees; None where it sees none.
        test: samples on which a point of the plane is evaluated.
    """
    if samples is None:
        return {
            "kind": kind,
            "samples": 0,
            "share": 0.0,
            "layers": 0,
            "notes": [],
            "sentence": None,
        }
    number = samples.samples
    share = number / (number + test)
    if kind == "reset":
        layers, notes = len(program.batch_norms), ()
        what = f"The statistics of {layers} BatchNorms are recomputed at every point"
    else:
        sites = find_sites(program)
        layers, notes = len(sites.hidden), sites.left_alone
        what = f"REPAIR rescales {layers} layers at every point"
    return {
        "kind": kind,
        "samples": number,
        "share": share,
        "layers": layers,
        "notes": list(notes),
        "sentence": f"{what}: one more forward pass over {number:,} training samples, "
        f"{share:.0%} of what a point of the plane runs.",
    }
