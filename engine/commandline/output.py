"""What commands print: JSON or plain lines on stdout, progress on stderr.

Bars are drawn where somebody watches; a log or a pipe gets a line for each stage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping

from tqdm import tqdm

from engine.studies.result import json_ready

STAGES = {
    "recognise": "reading the checkpoints",
    "data": "loading data",
    "symmetry": "deriving the symmetry",
    "proof": "proving it",
    "match": "matching",
    "equivalence": "checking π(B) against B",
    "train": "training the curve",
    "repair": "merging and repairing",
    "directions": "finding the plane's directions",
    "evaluate": "evaluating",
    "look": "a first look at the plane",
    "ends": "evaluating the models",
    "curves": "evaluating the curves",
    "plane": "evaluating the plane",
    "done": "done",
}


def stage_words(stage: str) -> str:
    """Return a stage for the user; a study that names its stages in words is taken at its word."""
    return STAGES.get(stage, stage)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json` to a command."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object, in ASCII where stdout is not UTF-8; NaN becomes null."""
    plain = (sys.stdout.encoding or "").casefold().replace("-", "") != "utf8"
    print(json.dumps(json_ready(value), indent=1, ensure_ascii=plain, allow_nan=False))


def byte_bar() -> Callable[[int, int], None]:
    """Return a progress function of (bytes done, bytes in all) that draws a bar on stderr."""
    if not sys.stderr.isatty():
        return _byte_line()
    bar: tqdm | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        if bar is None or bar.total != total:
            bar = tqdm(total=total, unit="B", unit_scale=True, desc="download", file=sys.stderr)
        bar.update(done - bar.n)

    return show


def _byte_line() -> Callable[[int, int], None]:
    """Return a progress function that says once for each file how much is downloaded."""
    said: set[int] = set()

    def show(done: int, total: int) -> None:
        del done
        if total not in said:
            said.add(total)
            print(f"downloading {total:,} bytes", file=sys.stderr)

    return show


class StageBar:
    """Draws a study's events as one bar on stderr, with the stage and the time left.

    Where nobody watches, each stage is one line.

    Args:
        width: characters that the stages' names are given.
    """

    def __init__(self, width: int = 28) -> None:
        layout = f"{{desc:<{width}}}{{percentage:3.0f}}% |{{bar:30}}| {{elapsed}}{{postfix}}"
        self._watched = sys.stderr.isatty()
        self._stage = ""
        self._bar = tqdm(total=1.0, bar_format=layout, file=sys.stderr, disable=not self._watched)

    def __call__(self, event: Mapping[str, object]) -> None:
        """Show one event."""
        if not self._watched:
            self._say(event)
        elif event["kind"] == "stage":
            self._bar.set_description_str(stage_words(str(event["stage"])), refresh=False)
            eta = event.get("eta")
            text = f"about {eta:.0f} s left" if isinstance(eta, float) and eta > 0 else ""
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(float(str(event["fraction"])) - self._bar.n)
        elif event["kind"] == "sweep":
            self._bar.set_postfix_str(
                f"sweep {event['sweep']}: {event['objective']:.6g}", refresh=True
            )

    def _say(self, event: Mapping[str, object]) -> None:
        """Print a line where a new stage begins."""
        if event["kind"] != "stage" or event["stage"] in ("done", self._stage):
            return
        self._stage = str(event["stage"])
        print(stage_words(self._stage), file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands and go to the next line."""
        self._bar.close()
