"""`python -m engine`: the command line."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        # Takes seconds (torch), in which an impatient user may press Ctrl-C.
        from engine.commandline import main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(main())
