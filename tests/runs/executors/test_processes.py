"""Tiles evaluated by several processes: the same bits, also when processes die."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import CancelledError, RunError
from engine.runs.executors import InProcesses
from engine.runs.executors.cargo import Packed, Station, load_cargo
from engine.runs.executors.processes import Manifest
from tests.runs.executors.tiny import evaluated, in_turn, same, work_and_tiles

TWO = InProcesses(2, devices=("cpu",), threads=1)


@pytest.fixture(scope="module")
def job():
    work, tiles = work_and_tiles()
    return work, tiles, in_turn(work, tiles)


def end_one(found) -> None:
    """Kill one of the processes that evaluate, once."""
    if len(found) == 1:
        multiprocessing.active_children()[0].kill()


def end_all(found) -> None:
    for child in multiprocessing.active_children():
        child.kill()
    while any(child.is_alive() for child in multiprocessing.active_children()):
        time.sleep(0.01)


def test_two_processes_find_the_same_bits_also_after_a_death(job):
    work, tiles, expected = job
    assert len(tiles) > 3
    assert same(evaluated(TWO, work, tiles, after_each=end_one), expected)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("precision", ["exact", "tf32", "fast"])
def test_cargo_is_evaluated_in_the_precision_of_the_work(job, precision):
    work, tiles, exact = job
    work = replace(work, precision=precision)
    cargo, orders = load_cargo(work, tiles[:2])
    station = Station(cargo, "cpu")
    found = {order.key: station.evaluate(order, lambda: False) for order in orders}
    assert same(found, in_turn(work, tiles[:2]))
    assert same(found, {key: exact[key] for key in found}) == (precision != "fast")


def test_cargo_is_repaired_where_the_work_is(job):
    work, tiles, exact = job
    work = replace(work, repairing=True)
    cargo, orders = load_cargo(work, tiles[:2])
    station = Station(cargo, "cpu")
    found = {order.key: station.evaluate(order, lambda: False) for order in orders}
    assert same(found, in_turn(work, tiles[:2]))
    assert not same(found, {key: exact[key] for key in found})
    assert (found["ends-test"]["loss"] == exact["ends-test"]["loss"]).all()


def test_processes_that_keep_dying_end_the_run_and_leave_what_is_finished(job):
    work, tiles, expected = job
    kept = {}

    def after_each(found):
        kept.update(found)
        end_all(found)

    more = tuple(replace(tile, key=f"{tile.key}-{n}") for n in range(4) for tile in tiles)
    with pytest.raises(RunError, match=r"3 processes .* died, .* code -9\. Use fewer"):
        evaluated(TWO, work, more, after_each=after_each)
    assert 1 <= len(kept) < len(more)
    assert all((arrays["loss"] == expected[key[:-2]]["loss"]).all() for key, arrays in kept.items())


def test_a_cancelled_run_stops_within_a_tile_and_ends_its_processes(job):
    work, tiles, _ = job
    kept = {}
    with pytest.raises(CancelledError, match="finished tiles are kept"):
        evaluated(TWO, work, tiles, after_each=kept.update, should_stop=lambda: bool(kept))
    assert 0 < len(kept) < len(tiles)
    assert not multiprocessing.active_children()


def test_cargo_is_mapped_not_read(job, tmp_path):
    work, tiles, _ = job
    cargo, orders = load_cargo(work, tiles)
    assert [order.key for order in orders] == [tile.key for tile in tiles]
    assert len(cargo.models) == 3  # the two spans share two of their models
    manifest = Manifest.write(cargo, tmp_path / "cargo")
    found = manifest.read()
    for ours, theirs in zip(cargo.models, found.models, strict=True):
        for name, packed in ours.items():
            again = theirs[name]
            assert torch.equal(packed.tensor(), again.tensor())
            assert again.data.flags.writeable is False or not again.data.size
    assert len(manifest.plan) < 1_000_000


def test_no_tiles_need_no_processes(job):
    assert evaluated(TWO, job[0], ()) == {}


def test_a_program_given_in_python_says_what_to_do(job):
    work, tiles, _ = job
    with pytest.raises(RunError, match=r"engine\.save_program"):
        evaluated(TWO, replace(work, recipe=None), tiles)


def test_another_program_in_the_other_process_is_refused(job):
    work, _, _ = job
    assert work.recipe is not None
    assert work.recipe.make().fingerprint == work.program.fingerprint
    with pytest.raises(RunError, match="came out differently in another process"):
        replace(work.recipe, fingerprint="0").make()


@pytest.mark.parametrize("asked", [{"workers": 0}, {"workers": 2, "threads": 0}])
def test_impossible_numbers_are_refused(asked):
    with pytest.raises(RunError, match="give at least 1 of both"):
        InProcesses(**asked)


def test_bytes_that_lie_askew_are_put_straight():
    values = torch.arange(6, dtype=torch.float64)
    data = np.zeros(8 * 7 + 64, dtype=np.uint8)
    start = -data.ctypes.data % 64 + 8
    data[start : start + 48] = Packed.of(values).data
    packed = Packed(data[start : start + 48], torch.float64, (2, 3))
    assert packed.tensor().data_ptr() % 64 == 8
    assert packed.aligned().data_ptr() % 64 == 0
    assert torch.equal(packed.aligned(), values.reshape(2, 3))


def test_empty_tensors_travel():
    packed = Packed.of(torch.empty(0, 3, dtype=torch.bfloat16))
    assert packed.tensor().shape == (0, 3)
    assert packed.aligned().dtype == torch.bfloat16
