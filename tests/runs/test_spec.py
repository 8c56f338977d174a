"""Specs: one question, one canonical text, one id; everything else is refused by name."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SpecError
from engine.landscape.plans import PRECISIONS
from engine.runs import CompareSpec, DataSpec, IngestDataSpec, IngestSpec, PairSpec, parse_spec
from engine.runs.spec import canonical_json

A, B = "0" * 64, "1" * 64
FIELDS: dict[str, Any] = {"a": A, "b": B, "data": {"name": "mnist"}}


def compare(**changes: Any) -> CompareSpec:
    return CompareSpec(**{**FIELDS, **changes})


def test_the_id_of_a_spec_never_changes() -> None:
    # A link ?run=… is permanent: if this fails, raise the spec's version instead.
    assert compare().run_id == "5e6c024b02f75062"
    assert IngestSpec(upload=A, name="a.pt").run_id == "85968fe7e177026f"


def test_a_field_that_came_later_is_left_out_at_its_default_alone() -> None:
    assert "precision" not in json.loads(compare(precision="exact").canonical)
    assert compare(precision="exact").run_id == compare().run_id
    assert json.loads(compare(precision="fast").canonical)["precision"] == "fast"


def test_a_plane_that_is_evaluated_in_full_is_the_question_that_it_was() -> None:
    usual = {"plane_mode": "full", "plane_rows": None, "plane_accuracy": 0.01}
    assert compare(**usual, plane_seconds=None, plane_sobol=2048).run_id == compare().run_id
    assert compare(plane_points=33, plane_rows=33).run_id == compare(plane_points=33).run_id
    assert json.loads(compare(plane_rows=20).canonical)["plane_rows"] == 20
    assert compare(plane_points=0, plane_rows=5).run_id == compare(plane_points=0).run_id


def test_one_question_about_statistics_has_one_id() -> None:
    assert compare(statistics="interpolate") == compare(reset=False)
    assert compare(statistics="reset").run_id == compare(reset=True).run_id
    assert compare(statistics=None).run_id == compare().run_id
    assert compare(statistics="reset", reset=True) == compare(reset=True)
    repaired = compare(statistics="repair")
    assert parse_spec(repaired.canonical) == repaired
    assert "statistics" not in json.loads(compare(statistics="reset").canonical)


def test_a_spec_takes_the_precisions_that_there_are() -> None:
    for precision in PRECISIONS:
        assert parse_spec(compare(precision=precision).canonical).precision == precision


def test_canonical_json_is_short_sorted_and_complete() -> None:
    text = compare().canonical
    assert json.loads(text)["plane_points"] == 25
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert canonical_json({"b": 1, "a": [1.5, None]}) == '{"a":[1.5,null],"b":1}'


def test_the_order_of_fields_does_not_matter() -> None:
    spec = compare(overrides={"activation": "gelu", "norm": "layer"}, seed=4)
    items = list(json.loads(spec.canonical).items())
    for seed in range(5):
        random.Random(seed).shuffle(items)
        assert parse_spec(dict(items)).run_id == spec.run_id
    assert compare(overrides={"norm": "layer", "activation": "gelu"}, seed=4) == spec


def test_defaults_written_out_change_nothing() -> None:
    assert compare(plane_points=25, extent=(-0.5, 1.5, -0.5, 1.5), overrides={}) == compare()


def test_whole_and_negative_zero_numbers_are_one_number() -> None:
    ids = {
        compare(extent=e).run_id for e in [(0, 1, -1, 1), (0.0, 1.0, -1.0, 1.0), (-0.0, 1, -1, 1)]
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"a": B},
        {"seed": 1},
        {"restarts": 2},
        {"line_points": 27},
        {"plane_points": 0},
        {"extent": (0, 1, 0, 1)},
        {"reset": False},
        {"reset_samples": 10},
        {"statistics": "interpolate"},
        {"statistics": "repair"},
        {"precision": "tf32"},
        {"precision": "fast"},
        {"plane_mode": "progressive"},
        {"plane_mode": "progressive", "plane_accuracy": 0.02},
        {"plane_mode": "progressive", "plane_seconds": 9},
        {"plane_mode": "sobol"},
        {"plane_mode": "sobol", "plane_sobol": 64},
        {"plane_rows": 20},
        {"overrides": {"activation": "gelu"}},
        {"data": {"name": "cifar10"}},
        {"data": {"name": "mnist", "samples": None}},
        {"data": {"name": "mnist", "mean": (0.5,), "std": (0.5,)}},
    ],
    ids=str,
)
def test_every_field_that_changes_numbers_changes_the_id(change: dict[str, Any]) -> None:
    assert compare(**change).run_id != compare().run_id


@pytest.mark.parametrize(
    "spec",
    [
        compare(overrides={"shape": (1, 2.5, True, "x")}, reset=True),
        IngestSpec(hub="org/name@main:model.safetensors"),
        IngestDataSpec(upload=A, name="mine.npz"),
        PairSpec(a=A, b=B),
    ],
    ids=lambda spec: spec.kind,
)
def test_a_spec_comes_back_from_its_canonical_text(spec: CompareSpec) -> None:
    again = parse_spec(spec.canonical)
    assert again == spec
    assert hash(again) == hash(spec)
    assert type(again) is type(spec)


def test_specs_are_frozen() -> None:
    spec = compare(overrides={"activation": "gelu"})
    with pytest.raises(Exception, match="frozen"):
        spec.seed = 3
    with pytest.raises(TypeError):
        spec.overrides["activation"] = "relu"  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": "xyz"}, r"^a: String should match pattern .* \(was 'xyz'\)\.$"),
        ({"a": A + "/.."}, "a: String should match pattern"),
        ({"a": A + "\n"}, "a: String should match pattern"),
        ({"precision": "half"}, "precision: Input should be 'exact', 'tf32' or 'fast'"),
        ({"statistics": "raepir"}, "statistics 'raepir' is unknown; allowed: interpolate, reset"),
        ({"statistics": "repair", "reset": True}, "reset True and statistics repair contradict"),
        ({"statistics": "reset", "reset": False}, "reset False and statistics reset contradict"),
        ({"method": "magic"}, r"^method: Input should be 'weight' \(was 'magic'\)\.$"),
        ({"restarts": 0}, "restarts: Input should be greater than or equal to 1"),
        ({"restarts": 101}, "restarts: Input should be less than or equal to 100"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"seed": True}, "seed: Input should be a valid integer"),
        ({"seed": "3"}, "seed: Input should be a valid integer"),
        ({"line_points": 24}, "line_points: an odd number is needed, .*; try 25"),
        ({"plane_points": 2}, r"plane_points: Input should be 0 \(no plane\) or from 3 to 257"),
        ({"plane_points": 258}, "plane_points: Input should be less than or equal to 257"),
        ({"plane_rows": 2}, "plane_rows: Input should be greater than or equal to 3"),
        ({"plane_mode": "coarse"}, "plane_mode: Input should be 'full', 'progressive' or 'sobol'"),
        ({"plane_mode": "sobol", "plane_sobol": 1000}, "plane_sobol: a power of two .* as 512"),
        ({"plane_mode": "sobol", "plane_sobol": 32}, "plane_sobol: Input should be greater"),
        ({"plane_accuracy": 0.1}, "plane_accuracy and plane_seconds belong to plane_mode 'prog"),
        ({"plane_seconds": 5.0}, "plane_accuracy and plane_seconds belong to plane_mode 'prog"),
        ({"plane_sobol": 64}, "plane_sobol belongs to plane_mode 'sobol'"),
        ({"plane_mode": "sobol", "plane_points": 0}, "plane_mode 'sobol' needs a plane"),
        ({"plane_mode": "progressive", "plane_seconds": 0}, "plane_seconds: .*greater than 0"),
        ({"plane_mode": "progressive", "plane_accuracy": 2}, "plane_accuracy: .*less than or"),
        ({"extent": (0, 0, 0, 1)}, "^extent .* is empty; allowed: u0 < u1 and v0 < v1"),
        ({"extent": (0, float("nan"), 0, 1)}, "extent.1: Input should be a finite number"),
        ({"extent": (0, 1)}, "extent.2: this field is required"),
        ({"samples": 5}, "samples: there is no such field; the fields are a, b, data, extent"),
        ({"version": 2}, "version: Input should be 1"),
        ({"overrides": {"x": {"y": 1}}}, "overrides: x must be a number, a text, true, false"),
        ({"overrides": {"x": float("inf")}}, "overrides: x must be a number"),
        ({"data": {"name": "imagenet"}}, "data.name 'imagenet' is unknown; allowed: mnist"),
        ({"data": {"name": "mnist", "samples": 0}}, "data.samples: Input should be greater than"),
        ({"data": {"name": "mnist", "mean": (0.1,)}}, "data.mean and std belong together"),
        ({"data": {"name": "mnist", "mean": (0.1,), "std": (1, 1)}}, "one number per channel"),
        ({"data": {"name": "mnist", "mean": (0.1,), "std": (0,)}}, "data.std.0: .*greater than 0"),
        ({"data": {"name": "mnist", "test_split": "../x"}}, "data.test_split: String should match"),
        ({"data": {}}, "data.name: this field is required"),
        ({"data": 3}, "data: Input should be a valid dictionary or instance of DataSpec"),
    ],
    ids=str,
)
def test_an_invalid_field_is_named_with_what_is_allowed(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        compare(**change)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(SpecError, match=r"^b: this field is required\. data: this field"):
        CompareSpec(a=A)


def test_uploaded_data_are_named_by_content() -> None:
    assert DataSpec(name="my photos.npz", sha256=B).sha256 == B


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "The spec is no JSON: "),
        ("[1]", "The spec must be a JSON object."),
        ("{}", "kind: None is unknown; allowed: compare, headers"),
        ('{"kind": ["compare"]}', "kind: .* is unknown"),
        ('{"kind": "film"}', "kind: 'film' is unknown"),
    ],
)
def test_what_is_no_spec_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(text)


@pytest.mark.parametrize("sources", [{}, {"upload": A, "hub": "a/b"}, {"path": "/x", "upload": A}])
def test_an_ingest_has_one_source(sources: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="exactly one of upload, path and hub"):
        IngestSpec(**sources)


def test_a_server_file_that_changes_is_another_question(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"one")
    first = IngestSpec.from_path(path)
    assert first.pinned
    assert IngestSpec.from_path(path) == first
    path.write_bytes(b"three")
    assert IngestSpec.from_path(path).run_id != first.run_id
    with pytest.raises(SpecError, match=r"there is no file .*absent\.pt' on this server"):
        IngestSpec.from_path(tmp_path / "absent.pt")


def test_only_what_can_change_is_asked_again() -> None:
    assert compare().pinned
    assert IngestSpec(upload=A).pinned
    assert not IngestSpec(hub="org/name").pinned
    assert not IngestSpec(path="/models/a.pt").pinned


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("[" * 100_000, "no JSON: it is nested too deeply"),
        ({**FIELDS, "kind": "compare", 3: 1}, "3: there is no such field"),
        ({**FIELDS, "kind": "compare", "overrides": {"x": 10**5000}}, "overrides: x must be"),
        ({**FIELDS, "kind": "compare", "extent": (-1e308, 1e308, 0, 1)}, "extent.0: .*-1000000"),
    ],
)
def test_hostile_specs_are_refused_by_a_sentence(values: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(values)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_cannot_be_is_told(path: str) -> None:
    with pytest.raises(SpecError, match=r"there is no file '.* on this server"):
        IngestSpec.from_path(path)
