"""The order in which a comparison is evaluated whose plane comes in rounds.

The models themselves, then the plane's first round, so that a picture is there at once, then the
curves, then the other rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.studies.evaluation import Evaluation
from engine.studies.options import CompareOptions
from engine.studies.plane import SPLIT, PlaneStudy
from engine.studies.plane_rounds import PlaneRounds
from engine.studies.plane_sketch import Sketch
from engine.studies.stages import BEGINS, Approach, Countdown, Stages
from engine.studies.tiles import Tile

FIRST_ENDS, CURVES_END = 0.22, 0.35
"""Shares of the study at which the models, and the curves, are evaluated."""

Groups = Sequence[tuple[str, Tile]]


def evaluate_in_rounds(
    study: PlaneStudy,
    evaluation: Evaluation,
    options: CompareOptions,
    stages: Stages,
    *,
    first: Groups,
    later: Groups,
) -> Sketch:
    """Evaluate a comparison; return what its plane is then known to be.

    Args:
        study: the plane, laid out.
        first, later: tiles that come before and after the plane's first round.

    Raises:
        CancelledError: the evaluation was told to stop; finished tiles are kept.
    """

    def evaluate(groups: Groups, begin: float, end: float) -> None:
        points = sum(len(tile.index) for _, tile in groups)
        evaluation.run(groups, Countdown(stages, points, len(groups), begin, end))

    def show(sketch: Sketch) -> Sketch:
        stages.partial({"plane": {**study.geometry(), "estimate": sketch.summary()}})
        return sketch

    evaluate(first, BEGINS["evaluate"], FIRST_ENDS)
    approach = Approach(stages, FIRST_ENDS)
    rounds = PlaneRounds(study.plane, evaluation, options, SPLIT, approach)
    sketch = show(rounds.advance())
    evaluate(later, FIRST_ENDS, CURVES_END)
    approach.begin_at(CURVES_END)
    while sketch.reason is None:
        sketch = show(rounds.advance())
    return sketch
