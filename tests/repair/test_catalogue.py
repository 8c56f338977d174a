from __future__ import annotations

import pytest

from engine.errors import RepairError
from engine.repair import REPAIRS, obstacle
from engine.repair.workshop import in_order
from tests.landscape.oracle import program_of
from tests.models import MODELS

BY_NAME = {model.name: model for model in MODELS}


def test_repairs_are_found_under_their_keys():
    assert tuple(REPAIRS) == ("reset", "rescale", "repair", "temperature")
    assert all(key == repair.key for key, repair in REPAIRS.items())
    assert all(repair.sentence.endswith(".") for repair in REPAIRS.values())


def test_repairs_are_put_in_order_each_once():
    assert in_order(["temperature", "reset", "temperature"]) == ("reset", "temperature")
    assert in_order("repair") == ("repair",)
    assert in_order(()) == ()


def test_an_unknown_repair_is_refused():
    with pytest.raises(RepairError, match="There is no repair 'mend'; the repairs are reset, "):
        in_order(["mend", "reset"])
    with pytest.raises(RepairError, match="There is no repair 'mend'"):
        obstacle("mend", program_of(BY_NAME["mlp"]))


def test_a_model_without_batch_norm_has_nothing_to_reset():
    assert obstacle("reset", program_of(BY_NAME["vgg-batchnorm"])) is None
    found = obstacle("reset", program_of(BY_NAME["mlp-layernorm"]))
    assert found is not None and "no BatchNorm" in found
