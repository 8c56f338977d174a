"""Parses the command line, runs one command and turns its errors into exit codes.

Exit codes: 0 done; 1 an error whose one sentence is on stderr; 2 wrong usage; 130 interrupted.
Results go to stdout (JSON with `--json`), progress and messages to stderr.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from engine import __version__
from engine.commandline import compare, compare_methods, inspect, match, merge, path, planes, train
from engine.errors import BasinscopeError, CancelledError

COMMANDS = (inspect, match, compare, compare_methods, merge, path, planes, train)
EXIT_ERROR, EXIT_INTERRUPTED = 1, 130


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="Do two networks live in one basin, once one is permuted?",
    )
    parser.add_argument("--version", action="version", version=f"basinscope {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name or a letter that the terminal's encoding lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    code: int | None = None
    try:
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of stdout (`| head`) has seen enough; Python must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (KeyboardInterrupt, CancelledError):
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BasinscopeError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_ERROR
    except OSError as error:
        print(f"error: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_ERROR
    return code or 0
