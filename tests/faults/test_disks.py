"""Disks that take nothing more: refused with 503, nothing lost, and on with it when they do again."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from faults.disks import Disk, full_disk, read_only_disk, refusing_disk
from faults.ledger import ROOT, Fate, Ledger, check, check_integrity, picture, search
from processes import ServerProcess, server_process

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(300)]

MANY = 200
"""Enough inserts to use up whatever room a full disk's files had left."""


def insert(http: httpx.Client, person: int) -> httpx.Response:
    return http.post(f"{ROOT}/insert", json={"idPhoto": picture(person)})


def enrol(http: httpx.Client, ledger: Ledger, count: int) -> None:
    for _ in range(count):
        person = next(ledger.people)
        ledger.entries[insert(http, person).raise_for_status().json()["oneToNVerificationId"]] = (person, Fate.HERE)


def refused(reply: httpx.Response) -> bool:
    """Whether a call was refused, in the way that it must be."""
    if reply.status_code == 503:
        body = reply.json()
        assert body["error"] == "SERVICE_UNAVAILABLE"
        assert "cannot" in body["message"]
        assert int(reply.headers["Retry-After"]) > 0
        return True
    assert reply.is_success, reply.text
    return False


def insert_until_refused(http: httpx.Client, ledger: Ledger) -> int:
    """Insert until the disk takes no more; gives the person that was refused."""
    for _ in range(MANY):
        person = next(ledger.people)
        reply = insert(http, person)
        if refused(reply):
            return person
        ledger.entries[reply.json()["oneToNVerificationId"]] = (person, Fate.HERE)
    raise AssertionError(f"the disk took {MANY} more")


def change_what_is_there(http: httpx.Client, ledger: Ledger) -> None:
    """Delete an image and erase an entry on a failing disk; either may go through, and must then hold."""
    (bared, bared_person), (erased, erased_person) = list(ledger.with_fate(Fate.HERE).items())[:2]
    went_through = not refused(http.delete(f"{ROOT}/search/{bared}"))
    ledger.entries[bared] = (bared_person, Fate.WITHOUT_IMAGE if went_through else Fate.PERHAPS_WITHOUT_IMAGE)
    if not refused(http.delete(f"{ROOT}/{erased}")):
        ledger.entries[erased] = (erased_person, Fate.ERASED)


def check_reads(http: httpx.Client, ledger: Ledger) -> None:
    known = ledger.with_fate(Fate.HERE)
    for entry, person in list(known.items())[-3:]:
        assert search(http, person)["oneToNVerificationId"] == entry
        assert http.get(f"{ROOT}/{entry}").status_code == 200
    assert http.get("/readyz").status_code == 200


@pytest.mark.parametrize("disk_kind", [full_disk, refusing_disk, read_only_disk], ids=["full", "refusing", "read-only"])
def test_a_disk_that_takes_no_more(tmp_path: Path, disk_kind: Callable[[Path], AbstractContextManager[Disk]]) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    ledger = Ledger()
    with (
        disk_kind(folder) as disk,
        server_process(folder / "data", pack="fake", workers=2, log_level="error") as server,
    ):
        with server.client() as http:
            enrol(http, ledger, 8)
            disk.fail(server)
            stranger = insert_until_refused(http, ledger)
            check_reads(http, ledger)
            assert refused(http.post(f"{ROOT}/search", json={"idPhoto": picture(stranger), "insert": True}))
            assert search(http, stranger)["oneToNVerificationId"] is None, "what was refused is found"
            change_what_is_there(http, ledger)
            check_reads(http, ledger)
        disk.recover(server)
        with server.client() as http:
            check_reads(http, ledger)
            assert not refused(insert(http, stranger)), "the disk takes again, and the server does not"
        ledger.entries |= here_again(server, stranger)
        check(server, ledger)
        server.kill()
        check_integrity(folder / "data")
        server.start()
        check(server, ledger)
        server.stop()


def here_again(server: ServerProcess, person: int) -> dict[str, tuple[int, Fate]]:
    with server.client() as http:
        return {str(search(http, person)["oneToNVerificationId"]): (person, Fate.HERE)}


def test_a_server_that_cannot_open_its_database_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    with full_disk(folder) as disk, server_process(folder / "data", start=False, pack="fake") as server:
        disk.fail(server)
        command = [sys.executable, "-m", "likeness", "serve"]
        ended = subprocess.run(
            command, env=server.environment, check=False, capture_output=True, text=True, timeout=120
        )
    assert ended.returncode == 1
    assert "is its disk full" in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
