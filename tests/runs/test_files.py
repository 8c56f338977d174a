"""Files: whole or not at all, equal bytes for equal arrays, nothing unpickled."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from engine.errors import RunError
from engine.runs.files import (
    check_run_id,
    check_sha256,
    copy_stream,
    folder_bytes,
    pack_arrays,
    parse_json,
    read_arrays,
    replacing,
    write_arrays,
    write_bytes,
)

NO_IDS = ["", "../../x", "0" * 15, "0" * 17, "0" * 15 + "g", "0" * 16 + "\n", "ABCDEF0123456789"]


@pytest.mark.parametrize("run_id", [*NO_IDS, None, 3])
def test_only_a_runs_id_becomes_a_folder(run_id: str) -> None:
    with pytest.raises(RunError, match="is no run: a run's id is 16 hexadecimal digits"):
        check_run_id(run_id)


@pytest.mark.parametrize("sha256", ["", "../x", "0" * 63, "G" * 64, None])
def test_only_a_sha256_becomes_a_file(sha256: str) -> None:
    with pytest.raises(RunError, match="is no SHA-256: that is 64 hexadecimal digits"):
        check_sha256(sha256)


def test_good_ids_pass() -> None:
    assert check_run_id("0123456789abcdef") == "0123456789abcdef"
    assert check_sha256("a" * 64) == "a" * 64


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.bin"
    write_bytes(path, b"old")
    with pytest.raises(ValueError, match="stop"), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise ValueError("stop")
    assert path.read_bytes() == b"old"
    assert [found.name for found in path.parent.iterdir()] == ["x.bin"]


def test_arrays_come_back_and_pack_to_equal_bytes(tmp_path: Path) -> None:
    arrays = {"b": np.array("text"), "a": np.arange(6.0).reshape(2, 3), "c": np.array(True)}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert pack_arrays(arrays) == pack_arrays(dict(reversed(arrays.items())))
    with np.load(tmp_path / "x.npz", allow_pickle=False) as loaded:
        assert sorted(loaded.files) == ["a", "b", "c"]


def test_damaged_arrays_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK no zip")
    with pytest.raises(RunError, match=r"The file x\.npz is damaged"):
        read_arrays(path)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "absent.npz")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", bad=np.array([{"a": 1}], dtype=object))
    with pytest.raises(RunError, match=r"x\.npz is damaged .*allow_pickle=False"):
        read_arrays(tmp_path / "x.npz")


def test_a_stream_is_copied_in_blocks_and_a_folder_is_weighed(tmp_path: Path) -> None:
    pieces: list[bytes] = []
    copy_stream(io.BytesIO(b"x" * 25), pieces.append, block=10)
    assert [len(piece) for piece in pieces] == [10, 10, 5]
    write_bytes(tmp_path / "a" / "b", b"12345")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert folder_bytes(tmp_path) == 5
    assert folder_bytes(tmp_path / "absent") == 0


@pytest.mark.parametrize("text", ["{", b"\xff", "[" * 100_000])
def test_text_that_is_no_json_is_one_kind_of_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting|decode|nested too deeply"):
        parse_json(text)
