"""Load on a server, and a book of what it promised, to be held against it after a fault."""

import contextlib
import itertools
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx
from sqlalchemy import select

from audit import trails
from likeness.audit.actions import Action
from likeness.engine.fake import fake_photo
from likeness.store.images import QUARANTINE
from likeness.store.tables import gallery_entries
from processes import ServerProcess
from servers import b64

ROOT = "/api/v1/face/one-to-n"
SIZE = (160, 120)


def picture(person: int, variation: int = 0) -> str:
    return b64(fake_photo(person, variation=variation, size=SIZE))


class Fate(StrEnum):
    """What may have become of an entry."""

    HERE = "here"
    WITHOUT_IMAGE = "without image"
    PERHAPS_WITHOUT_IMAGE = "perhaps without image"
    PERHAPS_ERASED = "perhaps erased"
    ERASED = "erased"


@dataclass
class Ledger:
    """Entries that were acknowledged, by id, and people whose enrolment was sent and never answered."""

    entries: dict[str, tuple[int, Fate]] = field(default_factory=dict)
    unanswered: set[int] = field(default_factory=set)
    people: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def with_fate(self, *fates: Fate) -> dict[str, int]:
        return {entry: person for entry, (person, fate) in list(self.entries.items()) if fate in fates}


@dataclass
class Load:
    """Callers that insert, search-and-insert, delete images and erase until the server is gone."""

    server: ServerProcess
    ledger: Ledger
    seed: int
    callers: int = 6
    answered: int = 0

    def run(self, then: Callable[[], None], *, answers: int, seconds: float = 60) -> None:
        """Load the server until it has given some answers, do something to it (kill it), and wait for the callers to notice."""
        end = time.monotonic() + seconds
        with self.server.client() as http, ThreadPoolExecutor(self.callers) as pool:
            done = [pool.submit(self._call, http, number) for number in range(self.callers)]
            while self.answered < answers and time.monotonic() < end:
                time.sleep(0.003)
            then()
            for each in done:
                each.result()

    def _call(self, http: httpx.Client, number: int) -> None:
        rng = random.Random(self.seed * 1000 + number)
        mine: list[str] = []
        with contextlib.suppress(httpx.TransportError):
            while True:
                self._once(http, rng, mine)
                self.answered += 1

    def _once(self, http: httpx.Client, rng: random.Random, mine: list[str]) -> None:
        entries = self.ledger.entries
        kind = rng.random()
        if kind < 0.75 or not mine:
            person = next(self.ledger.people)
            self.ledger.unanswered.add(person)
            path, body = ("insert", {}) if kind < 0.4 else ("search", {"insert": True})
            reply = http.post(f"{ROOT}/{path}", json={"idPhoto": picture(person), **body})
            entry = reply.raise_for_status().json()["oneToNVerificationId"]
            entries[entry] = (person, Fate.HERE)
            self.ledger.unanswered.discard(person)
            mine.append(entry)
            return
        entry = mine.pop(rng.randrange(len(mine)))
        person = entries[entry][0]
        if kind < 0.87:
            entries[entry] = (person, Fate.PERHAPS_WITHOUT_IMAGE)
            http.delete(f"{ROOT}/search/{entry}").raise_for_status()
            entries[entry] = (person, Fate.WITHOUT_IMAGE)
        else:
            entries[entry] = (person, Fate.PERHAPS_ERASED)
            http.delete(f"{ROOT}/{entry}").raise_for_status()
            entries[entry] = (person, Fate.ERASED)


@dataclass
class Rush:
    """One face sent many times at once with ``insert: true``."""

    server: ServerProcess
    person: int
    size: int = 50
    ids: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Send them all; those that the server does not live to answer are left out."""
        photos = [picture(self.person, variation=number) for number in range(self.size)]
        barrier = threading.Barrier(self.size)

        def send(photo: str) -> None:
            barrier.wait()
            with contextlib.suppress(httpx.TransportError):
                reply = http.post(f"{ROOT}/search", json={"idPhoto": photo, "insert": True})
                self.ids.add(reply.raise_for_status().json()["oneToNVerificationId"])

        with (
            contextlib.suppress(httpx.TransportError),
            self.server.client() as http,
            ThreadPoolExecutor(self.size) as pool,
        ):
            list(pool.map(send, photos))


def search(http: httpx.Client, person: int, **fields: object) -> dict[str, object]:
    reply = http.post(f"{ROOT}/search", json={"idPhoto": picture(person), **fields})
    found: dict[str, object] = reply.raise_for_status().json()
    return found


def listed(http: httpx.Client) -> dict[str, bool]:
    """Give every entry's id, and whether its image is stored, as the server lists them."""
    entries: dict[str, bool] = {}
    cursor: dict[str, str] = {}
    while True:
        page = http.get(ROOT, params={"limit": "1000", **cursor}).raise_for_status().json()
        entries |= {entry["oneToNVerificationId"]: entry["imageStored"] for entry in page["entries"]}
        if page["next"] is None:
            return entries
        cursor = {"cursor": page["next"]}


def images(server: ServerProcess) -> set[str]:
    folder = server.settings.data_dir / "images"
    return {path.name for path in folder.glob("*/*") if path.parent.name != QUARANTINE}


def wanted_images(server: ServerProcess) -> set[str]:
    """Give the images that the database's entries refer to."""
    with sqlite3.connect(f"file:{server.settings.data_dir / 'likeness.sqlite3'}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT image_id FROM gallery_entries WHERE image_id IS NOT NULL")
        return {row[0] for row in rows}


def check_images(server: ServerProcess, *, seconds: float = 20) -> None:
    """Every image has its entry and every entry its image, once what a fault left over was swept."""
    end = time.monotonic() + seconds
    while images(server) != wanted_images(server) and time.monotonic() < end:
        time.sleep(0.1)
    assert images(server) == wanted_images(server)


def check(server: ServerProcess, ledger: Ledger, *, people: int | None = None, seed: int = 0) -> None:
    """Hold the server and its images against the ledger, as :func:`check_promises`."""
    with server.client() as http:
        check_promises(http, ledger, people=people, seed=seed)
    check_images(server)


def check_promises(http: httpx.Client, ledger: Ledger, *, people: int | None = None, seed: int = 0) -> set[str]:
    """Hold a server against the ledger: every promise at once, and ``people`` (None: all) of those enrolled by their face.

    Give the ids of all entries.
    """
    there = listed(http)
    here = ledger.with_fate(Fate.HERE, Fate.WITHOUT_IMAGE, Fate.PERHAPS_WITHOUT_IMAGE)
    assert here.keys() <= there.keys(), "an acknowledged entry is lost"
    assert not ledger.with_fate(Fate.ERASED).keys() & there.keys(), "an erased entry is back"
    for entry in ledger.with_fate(Fate.HERE):
        assert there[entry], "an image is lost"
    for entry in ledger.with_fate(Fate.WITHOUT_IMAGE):
        assert not there[entry], "a deleted image is back"
    known = [*here.items()]
    for entry, person in known if people is None else random.Random(seed).sample(known, min(people, len(known))):
        assert search(http, person)["oneToNVerificationId"] == entry, "an entry is not found"
    for entry, person in list(ledger.with_fate(Fate.ERASED).items())[-20:]:
        assert search(http, person)["oneToNVerificationId"] is None, f"{entry} was erased and is found"
    for person in list(ledger.unanswered)[-20:]:
        found = search(http, person)["oneToNVerificationId"]
        assert found is None or found in there, "the index knows an entry that the database does not"
    assert search(http, next(ledger.people))["gallerySize"] == len(there), "the index differs from the database"
    return set(there)


def check_integrity(folder: Path) -> None:
    with sqlite3.connect(f"file:{folder / 'likeness.sqlite3'}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def check_trail(folder: Path, ledger: Ledger) -> None:
    """Hold the audit trail against the promises, and against the database: neither has a change that the other lacks."""
    with trails.opened(folder) as deployment:
        assert not trails.check(deployment).faults
        recorded = trails.records(deployment)
        stored = deployment.database.read_now(lambda c: set(c.execute(select(gallery_entries.c.id)).scalars()))
    enrolled, erased, without_photo = (
        [record.object for record in recorded if record.action == action]
        for action in (Action.ENROLMENT, Action.ERASURE, Action.PHOTO_DELETION)
    )
    assert len(enrolled) == len(set(enrolled))
    assert set(enrolled) - set(erased) == stored
    assert ledger.entries.keys() <= set(enrolled)
    assert ledger.with_fate(Fate.ERASED).keys() <= set(erased)
    assert ledger.with_fate(Fate.WITHOUT_IMAGE).keys() <= set(without_photo)
