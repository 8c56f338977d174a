"""Files that would run code: refused by name, never executed, with the lines that convert them."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import pickletools
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.checkpoints import read_checkpoint, read_checkpoint_bytes
from engine.errors import CheckpointError, UnsafeFileError
from tests.checkpoints.files import attack_pickle, pickle_in_zip, torch_bytes, zip_bytes

W = {"w": torch.arange(4.0)}
FLAT = torch_bytes(W, flat=True)


def read(data):
    return read_checkpoint_bytes(data, "x.pt")


ATTACKS = {
    "os.system": lambda path: (os.system, f"touch {path}"),
    "exec": lambda path: (exec, f"open({str(path)!r}, 'w').close()"),
    "eval": lambda path: (eval, f"open({str(path)!r}, 'w').close()"),
    "open": lambda path: (open, str(path), "w"),
    "subprocess": lambda path: (subprocess.call, ["touch", str(path)]),
    "getattr": lambda path: (getattr, Path(path), "touch"),
}


def ends_of_pickles(data):
    """Return where each of the five pickles of a flat file ends."""
    stream = io.BytesIO(data)
    ends = []
    for _ in range(5):
        list(pickletools.genops(stream))
        ends.append(stream.tell())
    return ends


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("kind", ATTACKS)
def test_code_is_named_and_not_run(kind, protocol, tmp_path):
    written, path = tmp_path / "written", tmp_path / "attack.pt"
    data = attack_pickle(*ATTACKS[kind](written), protocol=protocol)
    path.write_bytes(pickle_in_zip(data))
    with pytest.raises(UnsafeFileError, match=r"would run code \(.+\), as"):
        read_checkpoint(path)
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"bare Python pickle|none of the files"):
        read_checkpoint(path)
    assert not written.exists()


def test_the_attack_works_where_pickles_are_trusted(tmp_path):
    written = tmp_path / "written"
    pickle.loads(attack_pickle(*ATTACKS["exec"](written)))  # noqa: S301
    assert written.exists()


def test_code_in_every_pickle_of_a_flat_file(tmp_path):
    written = tmp_path / "written"
    attack = attack_pickle(os.system, f"touch {written}")
    for end in ends_of_pickles(FLAT)[:-1]:
        with pytest.raises(UnsafeFileError, match=r"would run code \((posix|nt)\.system\)"):
            read(FLAT[:end] + attack + FLAT[end:])
    assert not written.exists()


def test_code_stays_off_when_the_environment_turns_it_on(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr("engine.checkpoints.torch_file.disallowed_globals", lambda opcodes: ())
    monkeypatch.setattr(
        "engine.checkpoints.torch_file.plan_pickle",
        lambda opcodes: __import__("engine.checkpoints.pickle_plan", fromlist=["Plan"]).Plan(),
    )
    written = tmp_path / "written"
    data = attack_pickle(os.system, f"touch {written}")
    with pytest.raises(CheckpointError, match="torch refuses it"):
        read(pickle_in_zip(data))
    assert not written.exists()


def test_whole_modules_are_refused_with_the_lines_that_convert_them():
    with pytest.raises(UnsafeFileError) as caught:
        read(torch_bytes(nn.Sequential(nn.Linear(2, 2))))
    text = str(caught.value)
    assert "it is a whole pickled module" in text and "torch.nn.modules.linear.Linear" in text
    assert text.splitlines()[1].strip().startswith('x = torch.load("FILE"')
    assert text.splitlines()[2].strip() == 'torch.save(x.state_dict(), "weights.pt")'


def test_other_objects_are_named_with_the_lines_that_convert_them():
    with pytest.raises(UnsafeFileError, match=r"more than tensors \(argparse\.Namespace\)"):
        read(torch_bytes({**W, "args": argparse.Namespace(rate=1)}))
    many = pickle.dumps([getattr(nn.init, n) for n in dir(nn.init) if n.endswith("_")], 2)
    with pytest.raises(UnsafeFileError, match=r" and \d+ more\)"):
        read(pickle_in_zip(many))


def test_torchscript_and_exported_programs():
    with pytest.raises(UnsafeFileError, match=r"TorchScript archive(.|\n)*torch\.jit\.load"):
        read(zip_bytes({"net/data.pkl": b"", "net/constants.pkl": b"", "net/code/a.py": b""}))
    with pytest.raises(UnsafeFileError, match=r"exported program .* of an old torch"):
        read(zip_bytes({"serialized_exported_program.json": b"{}", "version": b"8.3"}))
    with pytest.raises(CheckpointError, match=r"exported program .* packed again"):
        read(zip_bytes({"net/a.txt": b"", "net/models/model.json": b"{}"}))


def test_torchscript_as_torch_writes_it():
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(nn.Linear(3, 2)), buffer)
    with pytest.raises(UnsafeFileError, match=r"TorchScript archive(.|\n)*torch\.jit\.load"):
        read(buffer.getvalue())
