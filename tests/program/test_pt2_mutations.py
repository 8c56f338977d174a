"""A `.pt2` that is wrong in one place is refused in its own words, and nothing of it runs."""

from __future__ import annotations

import io
import re
import warnings
import zipfile

import pytest
import torch

from engine.checkpoints import Limits
from engine.errors import BasinscopeError, LimitError
from engine.program import read_program
from tests.checkpoints.files import members, zip_bytes
from tests.program.exported_files import mutated, small, small_bytes
from tests.program.mutations import MUTATIONS

STRUCK: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def hostile_operation():
    """An operation outside ATen that tells when it is called."""
    library = torch.library.Library("basinscope_test", "DEF")
    library.define("strike(Tensor self) -> Tensor")
    library.impl("strike", lambda x: STRUCK.append("run") or x, "CompositeImplicitAutograd")
    assert torch.equal(torch.ops.basinscope_test.strike(torch.ones(1)), torch.ones(1))
    STRUCK.clear()
    yield
    library._destroy()


def refusal(data: bytes, path, limits=None) -> str:
    path.write_bytes(data)
    with pytest.raises(BasinscopeError) as caught:
        read_program(path, limits=limits)
    return str(caught.value)


def test_the_file_without_a_change_is_read(tmp_path):
    path, marker = tmp_path / "small.pt2", tmp_path / "marker"
    path.write_bytes(mutated(lambda parts: None, marker))
    program, params = read_program(path)
    module, x = small(), torch.randn(5, 6)
    torch.testing.assert_close(program(params, x), module(x))
    assert not marker.exists(), "the example inputs are never unpickled"


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_refused(name, tmp_path):
    change, message = MUTATIONS[name]
    marker = tmp_path / "marker"
    text = refusal(mutated(change, marker), tmp_path / "evil.pt2")
    assert text.startswith("evil.pt2: ")
    assert re.search(message, text), text
    assert "\n" not in text
    assert len(text) < 600
    assert not marker.exists()
    assert not STRUCK


def test_at_least_thirty_mutations_have_words_of_their_own():
    messages = [message for _, message in MUTATIONS.values()]
    assert len(set(messages)) == len(messages) >= 30


def test_members_packed_otherwise_are_refused(tmp_path):
    found = members(small_bytes())
    deflated = zip_bytes(found, zipfile.ZIP_DEFLATED)
    assert "is compressed" in refusal(deflated, tmp_path / "a.pt2")
    buffer = io.BytesIO(small_bytes())
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("archive/models/model.json", b"{}")
    assert "the member 'archive/models/model.json' twice" in refusal(
        buffer.getvalue(), tmp_path / "b.pt2"
    )
    assert "does not end where a zip must" in refusal(small_bytes()[:-900], tmp_path / "c.pt2")
    damaged = bytearray(small_bytes())
    damaged[damaged.index(b'"graph_module"') + 3] ^= 1
    assert "zip is damaged (Bad CRC" in refusal(bytes(damaged), tmp_path / "d.pt2")


def test_caps_hold_before_anything_is_read(tmp_path):
    for limits, words in (
        (Limits(tensors=5), "zip members, more than the limit of 5"),
        (Limits(total_bytes=100, header_bytes=1 << 20), "unpack to"),
        (Limits(tensors=20, name_length=5), "more than the limit of 5"),
        (Limits(dimensions=1), "axes, more than the limit of 1"),
    ):
        path = tmp_path / "small.pt2"
        path.write_bytes(small_bytes())
        with pytest.raises(LimitError, match=words):
            read_program(path, limits=limits)
