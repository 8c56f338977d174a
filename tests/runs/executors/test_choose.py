"""The settings that choose an executor."""

from __future__ import annotations

import sys

import pytest
import torch

from engine.errors import RunError
from engine.runs.executors import InProcesses, OnRay, tile_executor
from engine.studies.evaluation import InTurn


def test_settings_choose():
    assert isinstance(tile_executor({}), InTurn)
    assert isinstance(tile_executor({"BASINSCOPE_PROCESSES": "1"}), InTurn)
    several = tile_executor({"BASINSCOPE_PROCESSES": "3"})
    assert isinstance(several, InProcesses)
    assert several.workers == 3
    cluster = tile_executor({"BASINSCOPE_RAY_ADDRESS": "10.0.0.1:6379"})
    assert isinstance(cluster, OnRay)
    assert cluster.address == "10.0.0.1:6379"


def test_several_gpus_get_a_process_each(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    executor = tile_executor({})
    assert isinstance(executor, InProcesses)
    assert executor.devices == ("cuda:0", "cuda:1", "cuda:2")
    assert executor.workers == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_number_of_processes_that_is_none_is_named(value):
    with pytest.raises(RunError, match=f"BASINSCOPE_PROCESSES='{value}' is no number"):
        tile_executor({"BASINSCOPE_PROCESSES": value})


def test_two_settings_at_once_are_refused():
    with pytest.raises(RunError, match="both set"):
        tile_executor({"BASINSCOPE_PROCESSES": "2", "BASINSCOPE_RAY_ADDRESS": "auto"})


def test_a_missing_ray_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RunError, match=r"pip install -r requirements-ray\.txt"):
        tile_executor({"BASINSCOPE_RAY_ADDRESS": "auto"})
