"""What a merge is asked: how to align, which repairs, on which data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import SpecError
from engine.merging.methods import MERGE_MANY, check_merge_options
from engine.repair.catalogue import REPAIRS
from engine.studies.options import CompareOptions

MOST_MODELS = 64


@dataclass(frozen=True)
class MergeOptions:
    """How two to many checkpoints are merged, and on what the result is judged.

    Args:
        method: key of `engine.merging.MERGES`.
        method_options: the method's own.
        repairs: keys of `engine.repair.REPAIRS`, all done to the merged model.
        data: name of a data set or path of a file (`engine.data.load_dataset`).
        train_split, test_split: the splits behind the train and test numbers; methods and repairs
            see the train split.
        samples: at most how many samples are drawn from each split, None for all.
        data_seed: of the draw.
        mean, std: normalisation per channel; None takes the data set's own.
        seed: of the method.
        repair_samples: at most how many training samples the repairs see.
        family: choices that a state dict does not show (`engine.families.recognise`).

    Raises:
        SpecError: an unknown repair, or too few samples for one.
        MatchingError: an unknown method or option, or a value that makes no sense.
    """

    method: str = MERGE_MANY
    method_options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    repairs: tuple[str, ...] = ()
    data: str = "mnist"
    train_split: str = "train"
    test_split: str = "test"
    samples: int | None = 2000
    data_seed: int = 0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0
    repair_samples: int = 1000
    family: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        check_merge_options(self.method, self.method_options)
        if unknown := [key for key in self.repairs if key not in REPAIRS]:
            raise SpecError(f"there is no repair {unknown[0]!r}; there are {', '.join(REPAIRS)}")
        if self.repair_samples < 2:
            raise SpecError(f"repairs need at least 2 samples, not {self.repair_samples}")
        ordered = tuple(key for key in REPAIRS if key in self.repairs)
        object.__setattr__(self, "repairs", ordered)
        _ = self.loading

    @property
    def loading(self) -> CompareOptions:
        """What of the options says how data are loaded."""
        return CompareOptions(
            data=self.data,
            train_split=self.train_split,
            test_split=self.test_split,
            samples=self.samples,
            data_seed=self.data_seed,
            mean=self.mean,
            std=self.std,
            plane_points=0,
        )
