"""Where a study was computed: seconds per stage, device, versions; no number depends on it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import torch

from engine.studies.evaluation import Work
from engine.studies.stages import Stages


def provenance(stages: Stages, work: Work) -> dict[str, object]:
    """Return where the tiles of a study were evaluated, how, and how long each stage took."""
    device = work.device
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor()
    return {
        "seconds": {stage: round(value, 4) for stage, value in stages.seconds.items()},
        "device": device,
        "device_name": name or platform.machine(),
        "plan": work.plan.sentence,
        "precision": work.precision,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
