"""What a run is asked: frozen, validated values whose canonical JSON is the run's identity.

`run_id` is the first 16 hexadecimal digits of the SHA-256 of that JSON: keys sorted, no
spaces, so neither the order of the fields nor a default written out changes it. Every field is
present but those that a kind of spec gained later (`Spec.later`), which are left out at their
defaults: earlier questions keep their ids. Checkpoints and uploaded data are named by content,
never by path. Where a run was computed is provenance and stays outside. No torch is imported here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)

from engine.data.catalogue import DATASETS
from engine.errors import SpecError
from engine.runs.files import parse_json, stamp_of
from engine.runs.spec_errors import explained
from engine.runs.spec_fields import (
    Options,
    Place,
    PowerOfTwo,
    Real,
    Samples,
    Seed,
    Sha256,
    check_rectangle,
    odd,
    side,
)
from engine.runs.spec_statistics import settled

LANES = ("compute", "files")


class Part(BaseModel):
    """A frozen piece of a spec; every failure to build one is a `SpecError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
    prefix: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SpecError(explained(error, self.prefix, type(self).model_fields)) from None


class Spec(Part):
    """One question. Subclasses add `kind`, `version` and everything that changes the numbers.

    `lane` says which worker answers: "compute" for long work, "files" for reading what users
    bring, so that an upload never waits behind a plane and cannot take one down with it.
    """

    # Subclasses narrow both to literals, which only a field of type Any allows.
    kind: Any
    version: Any
    lane: ClassVar[str] = "compute"
    later: ClassVar[frozenset[str]] = frozenset()

    @property
    def canonical(self) -> str:
        """The canonical JSON: the same text for the same question, on every machine."""
        fields = type(self).model_fields
        usual = {name for name in self.later if getattr(self, name) == fields[name].default}
        return canonical_json(self.model_dump(mode="json", exclude=usual))

    @property
    def run_id(self) -> str:
        """The run's identity: 16 hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]

    @property
    def pinned(self) -> bool:
        """Whether a stored answer stays true; if not, asking again computes again."""
        return True

    def __hash__(self) -> int:
        return int(self.run_id, 16)


class DataSpec(Part):
    """Which samples the losses are means over.

    `name` is a data set of the catalogue, or the title of an uploaded one that `sha256` names.
    `samples` are drawn from each split with `seed`; None takes all. `mean` and `std` replace
    the data set's own normalisation, per channel.
    """

    prefix: ClassVar[str] = "data."
    name: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Sha256 | None = None
    train_split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] = "train"
    test_split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] = "test"
    samples: Samples | None = 2000
    seed: Seed = 0
    mean: tuple[Real, ...] | None = None
    std: tuple[Annotated[Real, Field(gt=0)], ...] | None = None

    @model_validator(mode="after")
    def _known(self) -> DataSpec:
        if self.sha256 is None and self.name not in DATASETS:
            raise ValueError(f"name {self.name!r} is unknown; allowed: {', '.join(DATASETS)}")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; give both or neither")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError("mean and std must have one number per channel each")
        return self


class CompareSpec(Spec):
    """The main job: match B to A, prove it, and draw the line and the plane between them.

    The plane has `plane_points` columns and `plane_rows` rows (None: as many). `plane_mode` says
    which of its points are evaluated; what belongs to one mode alone is left at its default in
    the others. See `engine.studies.CompareOptions`.
    """

    kind: Literal["compare"] = "compare"
    version: Literal[1] = 1
    a: Sha256
    b: Sha256
    data: DataSpec
    method: Literal["weight"] = "weight"
    seed: Seed = 0
    restarts: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    line_points: Annotated[int, Field(strict=True, ge=3, le=1001), AfterValidator(odd)] = 25
    plane_points: Annotated[int, Field(strict=True, ge=0, le=257), AfterValidator(side)] = 25
    extent: tuple[Place, Place, Place, Place] = (-0.5, 1.5, -0.5, 1.5)
    reset: StrictBool | None = None
    reset_samples: Samples = 1000
    overrides: Options = Field(default_factory=dict, validate_default=True)
    precision: Literal["exact", "tf32", "fast"] = "exact"
    statistics: Literal["repair"] | None = None
    plane_mode: Literal["full", "progressive", "sobol"] = "full"
    plane_rows: Annotated[int, Field(strict=True, ge=3, le=257)] | None = None
    plane_accuracy: Annotated[Real, Field(ge=0, le=1)] = 0.01
    plane_seconds: Annotated[Real, Field(gt=0)] | None = None
    plane_sobol: PowerOfTwo = 2048
    later: ClassVar[frozenset[str]] = frozenset(
        {
            "precision",
            "statistics",
            "plane_mode",
            "plane_rows",
            "plane_accuracy",
            "plane_seconds",
            "plane_sobol",
        }
    )

    @model_validator(mode="before")
    @classmethod
    def _settled(cls, values: Any) -> Any:
        return settled(values)

    @model_validator(mode="before")
    @classmethod
    def _square(cls, values: Any) -> Any:
        """Leave out rows that are as many as columns, or of no plane: it is the same question."""
        if isinstance(values, dict):
            columns = values.get("plane_points", 25)
            if columns == 0 or values.get("plane_rows") == columns:
                return {name: value for name, value in values.items() if name != "plane_rows"}
        return values

    @model_validator(mode="after")
    def _has_area(self) -> CompareSpec:
        check_rectangle(self.extent)
        return self

    @model_validator(mode="after")
    def _mode_fits(self) -> CompareSpec:
        mode = self.plane_mode
        if mode != "full" and not self.plane_points:
            raise ValueError(f"plane_mode {mode!r} needs a plane; give plane_points from 3 to 257")
        if mode != "progressive" and (self.plane_accuracy, self.plane_seconds) != (0.01, None):
            raise ValueError("plane_accuracy and plane_seconds belong to plane_mode 'progressive'")
        if mode != "sobol" and self.plane_sobol != 2048:
            raise ValueError("plane_sobol belongs to plane_mode 'sobol'")
        return self


class IngestSpec(Spec):
    """Turn one file that a user brings into a stored checkpoint and recognise it.

    Exactly one source: `upload` (SHA-256 of a stored raw upload), `path` (a file on the
    server) or `hub` (`org/name[@revision][:file]`). `name` is what the user calls it.
    """

    lane: ClassVar[str] = "files"
    kind: Literal["ingest"] = "ingest"
    version: Literal[1] = 1
    upload: Sha256 | None = None
    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    stamp: str | None = None
    hub: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    overrides: Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _one_source(self) -> IngestSpec:
        if sum(source is not None for source in (self.upload, self.path, self.hub)) != 1:
            raise ValueError("exactly one of upload, path and hub must be given")
        return self

    @classmethod
    def from_path(cls, path: str | Path, **options: Any) -> IngestSpec:
        """Return the spec for a file, or a model's folder, on the server as it is now.

        Raises:
            SpecError: there is no such file.
        """
        full, stamp = Path(path), None
        with suppress(OSError, ValueError, RuntimeError):  # too long, NUL bytes, no home folder
            full = full.expanduser().resolve()
            stamp = stamp_of(full)
        if stamp is None:
            raise SpecError(f"path: there is no file {str(path)[:200]!r} on this server.")
        return cls(path=str(full), stamp=stamp, **options)

    @property
    def pinned(self) -> bool:
        """A path without a stamp and a Hub reference may mean other bytes tomorrow."""
        return self.upload is not None or self.stamp is not None


class IngestDataSpec(Spec):
    """Turn one uploaded `.npz` or `.safetensors` (`inputs`, `targets`) into a stored data set."""

    lane: ClassVar[str] = "files"
    kind: Literal["ingest-data"] = "ingest-data"
    version: Literal[1] = 1
    upload: Sha256
    name: Annotated[str, Field(min_length=1, max_length=200)]


class PairSpec(Spec):
    """Say whether two stored checkpoints fit together."""

    lane: ClassVar[str] = "files"
    kind: Literal["pair"] = "pair"
    version: Literal[1] = 1
    a: Sha256
    b: Sha256
    overrides: Options = Field(default_factory=dict, validate_default=True)


_KINDS: dict[str, type[Spec]] = {
    "compare": CompareSpec,
    "ingest": IngestSpec,
    "ingest-data": IngestDataSpec,
    "pair": PairSpec,
}


def register_spec(model: type[Spec]) -> type[Spec]:
    """Make a further kind of spec known; a new study adds its own this way."""
    _KINDS[model.model_fields["kind"].default] = model
    return model


def parse_spec(values: Mapping[str, Any] | str | bytes) -> Spec:
    """Return the spec that a mapping, or its JSON text, describes.

    Raises:
        SpecError: it is no JSON object, of an unknown kind, or has an invalid field.
    """
    if isinstance(values, str | bytes):
        try:
            values = parse_json(values)
        except ValueError as error:
            raise SpecError(f"The spec is no JSON: {error}.") from None
    if not isinstance(values, Mapping):
        raise SpecError("The spec must be a JSON object.")
    kind = values.get("kind")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise SpecError(f"kind: {kind!r} is unknown; allowed: {', '.join(sorted(_KINDS))}.")
    return model(**{str(name): value for name, value in values.items()})


def canonical_json(value: Any) -> str:
    """Return the JSON text of `value` that does not depend on the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
