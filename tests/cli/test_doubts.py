"""Warnings before the work: about variables that are no settings, unreachable addresses and missing folders."""

import re
from pathlib import Path
from typing import Any

import pytest

from likeness.cli import main
from likeness.settings import Settings, unknown_settings


def output_of(*command: str, capsys: pytest.CaptureFixture[Any], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", ["likeness", *command])
    with pytest.raises(SystemExit):
        main()
    return str(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LIKENESS_PROT", "LIKENESS_PORT"),
        ("LIKENESS_WORKER", "LIKENESS_WORKERS"),
        ("LIKENESS_DATADIR", "LIKENESS_DATA_DIR"),
        ("likeness_mirror", "LIKENESS_MODELS_MIRROR"),
        ("LIKENESS_COLOUR", None),
    ],
)
def test_a_setting_that_is_none_is_reported_with_the_nearest(name: str, meant: str | None) -> None:
    (doubt,) = unknown_settings({name: "9", "LIKENESS_PACK": "fake", "likeness_port": "1", "PATH": "/bin"})
    assert doubt == f"{name} is not a setting and is not read" + (f"; did you mean {meant}?" if meant else "")


def test_every_command_tells_of_a_setting_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIKENESS_PROT", "9")
    output = output_of("tenant", "list", capsys=capsys, monkeypatch=monkeypatch)
    assert re.search(r"^\S+Z WARNING likeness: LIKENESS_PROT is not a setting", output)


def test_a_start_tells_what_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[Any]
) -> None:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIKENESS_HOST", "0.0.0.0")  # noqa: S104  the warning is about it
    monkeypatch.setenv("LIKENESS_MODELS_MIRROR", str(tmp_path / "none"))
    output = output_of("serve", capsys=capsys, monkeypatch=monkeypatch)
    assert (
        "WARNING likeness: LIKENESS_BASE_URL is not set, so tokens, results and captureUrl name http://0.0.0.0"
        in output
    )
    assert f"WARNING likeness: LIKENESS_MODELS_MIRROR names no folder: {tmp_path / 'none'}" in output


@pytest.mark.parametrize(
    ("host", "base_url", "doubts"),
    [
        ("0.0.0.0", None, 1),  # noqa: S104
        ("::", None, 1),
        ("0.0.0.0", "https://face.example", 0),  # noqa: S104
        ("10.0.0.7", None, 0),
        ("localhost", None, 0),
    ],
)
def test_an_address_that_nobody_can_visit_is_reported(
    tmp_path: Path, host: str, base_url: str | None, doubts: int
) -> None:
    assert len(list(Settings(host=host, base_url=base_url, models_mirror=tmp_path).doubts())) == doubts


@pytest.mark.parametrize(("base_url", "doubts"), [(None, 1), ("https://face.example", 0)])
def test_servers_that_share_galleries_need_one_public_address(base_url: str | None, doubts: int) -> None:
    shared = Settings(gallery="ray", database_url="postgresql://", base_url=base_url)
    assert len(list(shared.doubts())) == doubts
