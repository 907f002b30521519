"""The upkeep of a server on a real PostgreSQL."""

from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from likeness.engine.fake import fake_photo
from likeness.gallery.maintenance import upkeep
from likeness.store.sharing.changes import trim_changes
from likeness.store.tables import gallery_changes
from servers import Server, calling, serving, test_settings, wait_until


def logged(server: Server) -> list[int]:
    query = select(gallery_changes.c.number).order_by(gallery_changes.c.number)
    return server.deployment.database.read_now(lambda c: list(c.execute(query).scalars()))


def test_a_server_keeps_the_newest_changes_of_the_log(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "GENERATION_SECONDS", 0.05)
    monkeypatch.setattr(upkeep, "TRIMMED_AT_ONCE", 2)
    monkeypatch.setattr(upkeep, "trim_changes", partial(trim_changes, kept=3, limit=2))
    with serving(test_settings(tmp_path, database_url=postgres_url)) as server, calling(server) as api:
        for person in range(8):
            api.insert(fake_photo(person, size=(160, 120))).raise_for_status()
        wait_until(lambda: logged(server) == [7, 8, 9])  # the first change set the gallery's pack
