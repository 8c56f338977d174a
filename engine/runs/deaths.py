"""Why a worker died, as far as the system tells: exit codes, signals, the out-of-memory count."""

from __future__ import annotations

import signal
from pathlib import Path

_COUNTERS = (
    Path("/sys/fs/cgroup/memory.events"),
    Path("/sys/fs/cgroup/memory/memory.oom_control"),
    Path("/proc/vmstat"),
)
MEMORY_ADVICE = "Use fewer samples, a coarser plane or smaller models."


def oom_kills(counters: tuple[Path, ...] = _COUNTERS) -> int | None:
    """Return how many processes the system has killed for memory so far; None when unknown.

    The first counter that exists is used: the container's own (cgroup 2, then 1), else the
    machine's.
    """
    for path in counters:
        try:
            fields = [line.split() for line in path.read_text().splitlines()]
        except OSError:
            continue
        for found in fields:
            if len(found) == 2 and found[0] == "oom_kill" and found[1].isdigit():
                return int(found[1])
    return None


def death_cause(returncode: int | None, oom_before: int | None, oom_now: int | None) -> str:
    """Return one sentence on why a worker died.

    Args:
        returncode: as `subprocess.Popen` gives it; None when nobody waited for the process.
        oom_before, oom_now: `oom_kills()` when the run began and after the death.
    """
    starved = oom_before is not None and oom_now is not None and oom_now > oom_before
    if starved and returncode in (None, -signal.SIGKILL):
        return f"The system ended its worker because memory ran out. {MEMORY_ADVICE}"
    if returncode is None:
        return "Its worker died while nobody watched."
    if returncode == -signal.SIGKILL:
        return "Its worker was killed (SIGKILL); systems do that when memory runs out."
    if returncode < 0:
        return f"Its worker was ended by signal {-returncode} ({_signal_name(-returncode)})."
    return f"Its worker ended with exit code {returncode}; its log in the home folder says why."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
