"""A file exists whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from likeness.kit.files import PUBLIC, create_whole, replacing


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "made" / "file"
    for content, mode in ((b"first", 0o600), (b"second", PUBLIC)):
        with replacing(target, mode=mode) as file:
            file.write(content)
        assert target.read_bytes() == content
        assert stat.S_IMODE(target.stat().st_mode) == mode
    assert names(target.parent) == ["file"]


def test_what_fails_leaves_the_other_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), replacing(target) as file:
        file.write(b"after")
    with pytest.raises(OSError, match="No space"):
        create_whole(tmp_path / "new", b"content")
    assert names(tmp_path) == ["file"]
    assert target.read_bytes() == b"before"


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    create_whole(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        create_whole(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert names(tmp_path) == ["key"]
