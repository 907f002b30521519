"""What is stored."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from audit.trails import append, opened
from likeness.audit.seals import DAY_SECONDS
from likeness.deployment import Deployment
from likeness.diagnosis import stored
from likeness.diagnosis.findings import Finding, Grade
from likeness.gallery.pack_files import PackFiles
from likeness.kit.clock import MovableClock


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def deployment(tmp_path: Path, clock: MovableClock) -> Iterator[Deployment]:
    with opened(tmp_path, clock) as deployment:
        yield deployment


def only(check: Callable[[Deployment], Iterator[Finding]], deployment: Deployment) -> Finding:
    (finding,) = check(deployment)
    return finding


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_sound_database_is_ok_and_a_slow_one_is_doubtful(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LONGEST_READ_SECONDS", 60)
    assert only(stored.database, deployment) == Finding("database", Grade.OK, "SQLite's file is whole")
    monkeypatch.setattr(stored, "LONGEST_READ_SECONDS", 0)
    assert "a query takes" in next(stored.database(deployment)).fact


def test_a_damaged_file_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LONGEST_READ_SECONDS", 60)
    with opened(tmp_path) as deployment:
        for number in range(200):
            deployment.tenants.create(f"tenant {number}")
    file = tmp_path / "likeness.sqlite3"
    content = bytearray(file.read_bytes())
    page = content.rindex(b"tenant 150") // 4096 * 4096
    content[page + 8 : page + 200] = bytes(192)
    file.write_bytes(content)
    with opened(tmp_path) as deployment:
        assert only(stored.database, deployment).health is Grade.WRONG


def test_postgres_on_this_machine_is_ok_and_elsewhere_without_tls_is_doubtful(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "LONGEST_READ_SECONDS", 60)
    clock = MovableClock(time.time())
    with opened(tmp_path, clock, database_url=postgres_url) as deployment:
        assert only(stored.database, deployment).fact == "PostgreSQL answers"
        clock.move(60)
        first, _ = stored.database(deployment)
        assert (first.part, first.health) == ("clock", Grade.DOUBT)
        monkeypatch.setattr(stored, "host_of", lambda _: "db.example.com")
        _, second = stored.database(deployment)
        assert "the connection to db.example.com is not encrypted" in second.fact


def test_an_old_signing_key_is_doubtful(deployment: Deployment, clock: MovableClock) -> None:
    assert "the first start makes" in only(stored.signing_keys, deployment).fact
    deployment.signing_keys.rotate()
    assert only(stored.signing_keys, deployment).health is Grade.OK
    clock.move(400 * DAY_SECONDS)
    assert "400 days old" in only(stored.signing_keys, deployment).fact


def test_a_tenant_whose_key_is_damaged_is_named(deployment: Deployment, tmp_path: Path) -> None:
    tenant = deployment.tenants.create("acme")
    assert not list(stored.tenant_keys(deployment))
    execute(tmp_path, "UPDATE data_keys SET sealed_key = x'00'")
    deployment.tenants.forget(tenant.id)
    assert tenant.id in only(stored.tenant_keys, deployment).fact


def test_the_newest_seal_is_checked(deployment: Deployment, tmp_path: Path, clock: MovableClock) -> None:
    assert only(stored.audit_trail, deployment).fact == "it has no seal yet"
    append(deployment, "a")
    deployment.seals.seal()
    assert only(stored.audit_trail, deployment).health is Grade.OK
    kept = deployment.seals.kept.read_text()
    deployment.seals.kept.write_text(f"9:{'0' * 64}")
    assert "is an older copy" in next(stored.audit_trail(deployment)).fact
    deployment.seals.kept.write_text(kept)
    clock.move(-3600)
    assert only(stored.audit_trail, deployment).part == "clock"
    execute(tmp_path, "UPDATE audit_seals SET jws = 'x'")
    assert only(stored.audit_trail, deployment).health is Grade.WRONG


def test_the_pack_of_tests_is_doubtful_and_one_without_weights_is_wrong(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        assert "for tests" in only(stored.packs, deployment).fact
        deployment.record("pack", {"id": "fake", "version": "0"})
    with opened(tmp_path, pack="face-landmarks") as deployment:
        assert "missing or altered" in only(stored.packs, deployment).fact


def test_changed_files_of_packs_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "models" / "packs" / "own" / "calibration.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    with opened(tmp_path, pack="auto") as deployment:
        assert "the first start chooses" in only(stored.packs, deployment).fact
        PackFiles(deployment).check_at_start()
        file.write_text("{ }")
        first, _ = stored.packs(deployment)
        assert "own/calibration.json" in first.fact


def test_an_image_store_that_refuses_is_wrong(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        assert only(stored.photos, deployment).health is Grade.OK
    (tmp_path / "file").touch()
    with opened(tmp_path, images_url=(tmp_path / "file" / "images").as_uri()) as deployment:
        assert only(stored.photos, deployment).health is Grade.WRONG
