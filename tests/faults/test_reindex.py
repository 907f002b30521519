"""A gallery moves to another pack, is searched all the while, and its server is killed half-way.

``LIKENESS_REINDEX_PHOTOS`` sets how many real photos are moved.
"""

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from faults.ledger import ROOT, check_integrity
from likeness.cli import app
from likeness.engine.fake import fake_photo
from processes import ServerProcess, server_process
from servers import b64

REAL_PHOTOS = int(os.environ.get("LIKENESS_REINDEX_PHOTOS", "20"))
SEARCHERS = 2

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(300 + 2 * REAL_PHOTOS)]


@dataclass
class Moved:
    """A server whose gallery is being moved, and what every search must find."""

    server: ServerProcess
    entries: dict[str, str] = field(default_factory=dict)
    """By photo: the entry that was enrolled with it."""
    models: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Entries whose photo was refused as a probe: the new pack finds no single face on it."""
    over: threading.Event = field(default_factory=threading.Event)

    def enrol(self, photos: list[bytes]) -> None:
        """Enrol those that the pack takes."""

        def enrol(photo: str) -> None:
            reply = http.post(f"{ROOT}/insert", json={"idPhoto": photo})
            if reply.status_code == 200:
                self.entries[photo] = reply.json()["oneToNVerificationId"]

        with self.server.client() as http, ThreadPoolExecutor(4) as pool:
            list(pool.map(enrol, map(b64, photos)))

    def command(self, *arguments: str) -> str:
        """Run ``likeness gallery ...`` as an operator does, but in this process: to start one takes longer than to do it."""
        environment = self.server.environment | {"COLUMNS": "200"}
        ended = CliRunner(env=environment).invoke(app, ["gallery", *arguments], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    @contextmanager
    def searched(self, *, killed: bool = False) -> Iterator[None]:
        """Search for everybody in turn until the block ends; with ``killed``, until the server is gone."""
        self.over.clear()
        with ThreadPoolExecutor(SEARCHERS) as pool:
            searches = [pool.submit(self._search, offset, killed) for offset in range(SEARCHERS)]
            try:
                yield
            finally:
                self.over.set()
            for each in searches:
                each.result()

    def _search(self, offset: int, killed: bool) -> None:
        wanted = list(self.entries.items())[offset::SEARCHERS]
        with self.server.client() as http:
            while True:
                for photo, entry in wanted:
                    if self.over.is_set() and not killed:
                        return
                    try:
                        reply = http.post(f"{ROOT}/search", json={"idPhoto": photo})
                    except httpx.TransportError:
                        if killed:
                            return
                        raise
                    if reply.status_code == 400 and reply.json()["error"] in {"NO_FACE", "MULTIPLE_FACES"}:
                        self.refused.add(entry)
                        continue
                    found = reply.raise_for_status().json()
                    self.models[found["model"].partition("@")[0]] += 1
                    if found["oneToNVerificationId"] != entry:
                        self.wrong.append(f"{entry}: {found}")

    def answered_by(self, model: str, *, searches: int = 20, seconds: float = 60) -> bool:
        """Whether a pack comes to answer ``searches`` more searches."""
        end, before = time.monotonic() + seconds, self.models[model]
        while self.models[model] < before + searches and time.monotonic() < end:
            time.sleep(0.01)
        return self.models[model] >= before + searches

    def progress(self) -> tuple[str, int, int]:
        with sqlite3.connect(
            f"file:{self.server.settings.data_dir / 'likeness.sqlite3'}?mode=ro", uri=True
        ) as database:
            row: tuple[str, int, int] = database.execute("SELECT state, done, total FROM reindexes").fetchone()
        return row

    def templates(self) -> dict[str, int]:
        query = "SELECT pack, count(*) FROM gallery_templates GROUP BY pack"
        with sqlite3.connect(
            f"file:{self.server.settings.data_dir / 'likeness.sqlite3'}?mode=ro", uri=True
        ) as database:
            return {str(pack).partition("@")[0]: count for pack, count in database.execute(query)}

    def kill_halfway(self) -> tuple[str, int, int]:
        """Kill the server once it has made half of the templates."""
        end = time.monotonic() + 60 + REAL_PHOTOS
        while time.monotonic() < end:
            with self.server.paused():
                state, done, total = self.progress()
                if state == "filling" and 2 * done >= total:
                    self.server.kill()
                    return state, done, total
            time.sleep(0.005)
        raise AssertionError(f"{done} of {total} templates were made, {state}")


def prove(moved: Moved, photos: list[bytes], late: list[bytes], *, old: str, new: str) -> None:
    moved.enrol(photos)
    enrolled = len(moved.entries)
    assert enrolled >= len(photos) * 0.9
    with moved.searched(killed=True):
        moved.command("reindex", "--pack", new, "--no-wait")
        state, done, total = moved.kill_halfway()
    assert state == "filling"
    assert done < total
    check_integrity(moved.server.settings.data_dir)
    assert "No server runs" in moved.command("reindex", "--pack", new)
    moved.server.start()
    with moved.searched():
        moved.enrol(late)
        compared = moved.command("reindex", "--pack", new)
        assert set(moved.models) == {old}
        assert not moved.refused
        moved.command("cutover")
        assert moved.answered_by(new)
        moved.command("rollback")
        assert moved.answered_by(old)
        moved.command("cutover")
        assert moved.answered_by(new)
    moved.server.kill()
    moved.server.start()
    before = moved.models[old]
    orphans = {line.split(",")[1] for line in moved.command("status", "--ids").splitlines()[1:]}
    behind = len(orphans)
    with moved.searched():
        moved.command("finish", "--orphans", "keep")
        assert moved.answered_by(new, searches=min(100, len(moved.entries)))
    assert moved.wrong == []
    assert moved.refused <= orphans
    assert behind or moved.models[old] == before
    assert moved.templates() == {new: len(moved.entries) - behind} | ({old: behind} if behind else {})
    figures = f"{enrolled} enrolled, killed at {done} of {total}, {behind} stay behind, {len(moved.refused)} of them refused, searches {dict(moved.models)}"
    print(f"\n{figures}\n{compared}")  # noqa: T201  what a run of many photos is for


def test_a_move_survives_a_kill(tmp_path: Path) -> None:
    people = [fake_photo(person, size=(160, 120)) for person in range(130)]
    with server_process(tmp_path / "data", pack="fake", workers=2, log_level="error") as server:
        prove(Moved(server), people[:120], people[120:], old="fake", new="fake-2")


@pytest.mark.data
def test_real_photos_move_from_builtin_to_best(tmp_path: Path, data: Path) -> None:
    photos = [next(iter(sorted(person.glob("*.jpg")))) for person in sorted((data / "faces" / "lfw").iterdir())]
    chosen = [photo.read_bytes() for photo in photos[: REAL_PHOTOS + 4]]
    mirror = data / "models"
    with server_process(
        tmp_path / "data", pack="builtin", models_mirror=mirror, workers=2, log_level="error"
    ) as server:
        prove(Moved(server), chosen[4:], chosen[:4], old="builtin", new="best")
