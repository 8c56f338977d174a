"""Which points of a plane a comparison evaluates: what can be asked, and what cannot."""

from __future__ import annotations

from typing import Protocol

from engine.errors import SpecError

PLANE_MODES = ("full", "progressive", "sobol")

ACCURACY = 0.01
SOBOL_POINTS = 2048
FEWEST_SOBOL, MOST_SOBOL = 64, 4096


class PlaneOptions(Protocol):
    """What `CompareOptions` says about its plane."""

    @property
    def plane_points(self) -> int: ...
    @property
    def plane_mode(self) -> str: ...
    @property
    def plane_rows(self) -> int | None: ...
    @property
    def plane_accuracy(self) -> float: ...
    @property
    def plane_seconds(self) -> float | None: ...
    @property
    def plane_sobol(self) -> int: ...


def check_plane_options(options: PlaneOptions) -> None:
    """Refuse a plane that cannot be.

    Raises:
        SpecError: the mode is unknown, a number is out of range, or belongs to another mode.
    """
    mode, rows, points = options.plane_mode, options.plane_rows, options.plane_sobol
    if mode not in PLANE_MODES:
        raise SpecError(f"plane_mode={mode!r} is unknown; choose one of {', '.join(PLANE_MODES)}.")
    if mode != "full" and not options.plane_points:
        raise SpecError(f"plane_mode={mode!r} needs a plane: give plane_points of at least 2.")
    if rows is not None and rows < 2:
        raise SpecError(f"plane_rows={rows} is not possible: give at least 2 rows, or None.")
    if mode != "progressive" and (options.plane_accuracy, options.plane_seconds) != (
        ACCURACY,
        None,
    ):
        raise SpecError("plane_accuracy and plane_seconds belong to plane_mode='progressive'.")
    if not 0 <= options.plane_accuracy <= 1:
        raise SpecError(
            f"plane_accuracy={options.plane_accuracy} is not possible: give a relative error from "
            "0 to 1, such as 0.01."
        )
    if options.plane_seconds is not None and not options.plane_seconds > 0:
        raise SpecError(
            f"plane_seconds={options.plane_seconds} is not possible: give a time above 0, or None."
        )
    if mode != "sobol" and points != SOBOL_POINTS:
        raise SpecError("plane_sobol belongs to plane_mode='sobol'.")
    if not FEWEST_SOBOL <= points <= MOST_SOBOL or points & (points - 1):
        raise SpecError(
            f"plane_sobol={points} is not possible: give a power of two from {FEWEST_SOBOL} to "
            f"{MOST_SOBOL}."
        )
