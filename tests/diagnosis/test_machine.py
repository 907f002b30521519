"""The machine, the settings and the files."""

import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from likeness.diagnosis import machine
from likeness.diagnosis.findings import Finding, Grade
from likeness.settings import Settings
from servers import test_settings


def worst(findings: Any) -> Finding:
    return max(findings, key=lambda finding: list(Grade).index(finding.health))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = test_settings(tmp_path / "data", key_file=tmp_path / "key")
    made.data_dir.mkdir(mode=0o700)
    made.master_key_file.touch(mode=0o600)
    return made


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"base_url": "http://face.example.com"}, "has no TLS"),
        ({"metrics_port": 9464, "metrics_host": "0.0.0.0"}, "the metrics listen on"),  # noqa: S104  what is found
        ({"models_mirror": Path("/nowhere")}, "names no folder"),
    ],
)
def test_a_doubtful_setting_is_found(settings: Settings, changes: dict[str, Any], fact: str) -> None:
    assert worst(machine.settings_of_the_environment(settings)).health is Grade.OK
    found = worst(machine.settings_of_the_environment(settings.model_copy(update=changes)))
    assert (found.health, fact in found.fact) == (Grade.DOUBT, True)


def test_a_variable_that_is_no_setting_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_PROT", "1")
    assert "LIKENESS_PORT" in worst(machine.settings_of_the_environment(settings)).fact


def test_the_key_is_private_and_apart_from_the_data(settings: Settings) -> None:
    assert worst(machine.key_file(settings)).health is Grade.OK
    settings.master_key_file.chmod(0o640)
    assert "chmod 600" in worst(machine.key_file(settings)).advice
    beside = settings.model_copy(update={"key_file": settings.data_dir / "deep" / "key"})
    assert "no master key" in worst(machine.key_file(beside)).fact
    (settings.data_dir / "deep").mkdir()
    (settings.data_dir / "deep" / "key").touch(mode=0o600)
    found = worst(machine.key_file(beside))
    assert (found.health, "a copy of the folder opens everything" in found.fact) == (Grade.DOUBT, True)


def test_a_link_does_not_put_the_key_apart(settings: Settings) -> None:
    (settings.data_dir / "key").touch(mode=0o600)
    settings.master_key_file.unlink()
    settings.master_key_file.symlink_to(settings.data_dir / "key")
    assert worst(machine.key_file(settings)).health is Grade.DOUBT


@pytest.mark.parametrize(
    ("free", "health"),
    [
        (machine.LEAST_FREE_BYTES - 1, Grade.WRONG),
        (machine.SMALL_FREE_BYTES - 1, Grade.DOUBT),
        (1 << 40, Grade.OK),
    ],
)
def test_a_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch, free: int, health: Grade) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    assert worst(machine.disk(settings)).health is health


def test_a_folder_that_others_see_and_one_that_is_not_there_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.data_dir.chmod(0o755)
    assert "chmod 700" in worst(machine.disk(settings)).advice
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "may not write" in worst(machine.disk(settings)).fact
    settings.data_dir.rmdir()
    assert "no data folder" in worst(machine.disk(settings)).fact


@pytest.mark.parametrize(("state", "health"), [(0, Grade.OK), (5, Grade.DOUBT), (None, Grade.OK)])
def test_the_system_tells_of_its_clock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, state: int | None, health: Grade
) -> None:
    library = type("Library", (), {} if state is None else {"adjtimex": staticmethod(lambda _: state)})
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    assert worst(machine.clock(settings)).health is health


def test_this_system_has_a_clock(settings: Settings) -> None:
    assert worst(machine.clock(settings)).part == "clock"


def test_too_few_open_files_are_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for most, health in ((resource.RLIM_INFINITY, Grade.OK), (1199, Grade.DOUBT), (1200, Grade.OK)):
        monkeypatch.setattr("resource.getrlimit", lambda _, most=most: (256, most))
        assert worst(machine.open_files(settings)).health is health
