"""Outputs that cannot be written are refused before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.commandline import main
from engine.commandline.destination import output_file, output_folder
from engine.errors import SpecError


def test_what_can_be_written_is_taken(tmp_path: Path) -> None:
    assert output_file(str(tmp_path / "new"), str(tmp_path / "other")) == tmp_path / "new"
    (tmp_path / "old").write_bytes(b"")
    assert output_file(str(tmp_path / "old"), "org/name") == tmp_path / "old"
    assert output_folder(str(tmp_path / "a" / "b")).is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "old"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is a folder; name a file in it"),
        ("{folder}", "is a folder; name a file in it"),
        ("{folder}/pipe", "is no regular file"),
        ("{folder}/b", "is also '.*/link'; name another file"),
        ("{folder}/link", "is also '.*/link'; name another file"),
        ("{folder}/no/x", "cannot be written: .*no: No such file or directory"),
        ("{folder}/b/x", "cannot be written: .*b: Not a directory"),
    ],
)
def test_files_that_cannot_be_or_would_be_lost(text: str, message: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "b").write_bytes(b"weights")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(SpecError, match=message):
        output_file(text.format(folder=tmp_path), str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty name"),
        ("{file}", "is a file; name a folder"),
        ("{file}/x", "cannot be written: .*: Not a directory"),
    ],
)
def test_folders_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpecError, match=message):
        output_folder(text.format(file=tmp_path / "file"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["match", "{b}", "{b}", "-o", "{b}"],
        ["match", "{a}", "{b}", "-o", "x", "--permutation", "x"],
        ["compare", "{a}", "{b}", "-o", "{a}"],
        ["train", "mnist-mlp", "--seed", "0", "--out", "{a}/x"],
        ["train", "mnist-mlp", "--seed", "0", "--out", ""],
    ],
)
def test_every_command_looks_before_it_reads(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"a": str(tmp_path / "a"), "b": str(tmp_path / "b")}
    for path in names.values():
        Path(path).write_bytes(b"no checkpoint: reading it would be another error")
    assert main([text.format(**names) for text in arguments]) == 1
    assert "error: the output '" in capsys.readouterr().err
