"""How a backup is made: a copy of the database at one moment, then each photo that the copy refers to.

A photo is stored before its entry is committed. So every photo of the copy exists, unless it was erased since.
"""

import asyncio
import json
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, create_engine, func, select

from likeness import __version__
from likeness.audit.actions import Action
from likeness.audit.seals import SealPlace, newest_seal
from likeness.audit.signing import BACKUP
from likeness.audit.trail import note
from likeness.backup import snapshot
from likeness.backup.archive import (
    DATABASE,
    FORMAT,
    HEADER,
    KEY,
    PHOTOS,
    PIECE_BYTES,
    STATEMENT,
    ArchiveWriter,
    Counted,
    Recipient,
    encrypting,
)
from likeness.deployment import KEY_FACT, Deployment
from likeness.errors import SetupError
from likeness.kit.ids import new_object_id
from likeness.store.facts import read_fact
from likeness.store.images import FAULTS, Objects, open_objects, spaces_of
from likeness.store.move.moving import BeginStage
from likeness.store.remote import cause_of_store_error
from likeness.store.tables import data_keys, gallery_entries

PHOTOS_AT_ONCE = 16
WORK_PREFIX = ".backup-"
"""Beginning of the name of the folder, in the data folder, of a database's copy."""


@dataclass(slots=True)
class BackupReport:
    """What a backup holds. ``gone``: photos erased while it was made. ``missing``: photos that were lost before."""

    id: str
    entries: int
    seal: SealPlace
    photos: int = 0
    gone: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Creation:
    """The making of one backup, beside a server or without one."""

    deployment: Deployment
    recipients: Sequence[Recipient]
    with_key: bool = False

    def run(self, target: IO[bytes], stage: BeginStage) -> BackupReport:
        """Write the backup. Raises SetupError, ServiceUnavailable and OSError: then what was written is no backup."""
        backup_id, settings = new_object_id(), self.deployment.settings
        self.deployment.database.write_now(lambda connection: note(connection, Action.BACKUP, backup_id))
        self.deployment.seals.seal()
        with tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=settings.data_dir) as folder:
            file = Path(folder) / DATABASE
            self._copy_database(file, stage)
            engine = create_engine(f"sqlite:///{file}")
            try:
                with engine.connect() as copy:
                    with encrypting(target, self.recipients) as stream:
                        writer = ArchiveWriter(stream)
                        report = self._write(writer, backup_id, copy, file, stage)
                        writer.close()
                    self._demand_keys(copy)
            finally:
                engine.dispose()
        return report

    def _copy_database(self, file: Path, stage: BeginStage) -> None:
        advance, known = None, 0

        def progress(done: int, total: int) -> None:
            nonlocal advance, known
            advance = advance or stage("copying the database", total)
            advance(done - known)
            known = done

        snapshot.copy_database(self.deployment.settings.database_address, file, progress)

    def _write(
        self, writer: ArchiveWriter, backup_id: str, copy: Connection, file: Path, stage: BeginStage
    ) -> BackupReport:
        entries, photos = (
            copy.execute(select(func.count()).select_from(gallery_entries).where(*which)).scalar_one()
            for which in ((), (gallery_entries.c.image_id.is_not(None),))
        )
        report = BackupReport(backup_id, entries, newest_seal(copy, self.deployment.seals.signer))
        header = {
            "format": FORMAT,
            "id": backup_id,
            "time": self.deployment.clock.now(),
            "program": __version__,
            "entries": entries,
            "photos": photos,
            "sealed_key": read_fact(copy, KEY_FACT),
        }
        writer.add_bytes(HEADER, json.dumps(header).encode())
        if self.with_key:
            writer.add_bytes(KEY, self.deployment.settings.master_key_file.read_bytes())
        size = file.stat().st_size
        advance = stage("encrypting the database, in MiB", size // PIECE_BYTES)
        with file.open("rb") as content:
            writer.add(DATABASE, Counted(content, advance), size)
        asyncio.run(self._write_photos(writer, copy, report, stage("copying photos", photos)))
        claims = {
            "id": backup_id,
            "time": header["time"],
            "sha256": writer.digest,
            "seal": str(report.seal),
            "photos": report.photos,
            "gone": report.gone,
        }
        writer.add_bytes(STATEMENT, self.deployment.seals.signer.sign(BACKUP, claims).encode())
        return report

    def _demand_keys(self, copy: Connection) -> None:
        """Raise SetupError if photos may be sealed with a data key that the copy of the database lacks."""
        known, present = _newest_keys(copy), self.deployment.database.read_now(_newest_keys)
        if any(present.get(tenant_id, number) > number for tenant_id, number in known.items()):
            raise SetupError(
                "a data key was replaced while the backup was made, and the backup lacks the new one: make it again"
            )

    async def _write_photos(
        self, writer: ArchiveWriter, copy: Connection, report: BackupReport, advance: Callable[[int], None]
    ) -> None:
        try:
            with closing(open_objects(self.deployment.settings.images_address)) as objects:
                async for tenant_id, image_id, content in _photos(copy, objects):
                    if content is not None:
                        await asyncio.to_thread(writer.add_bytes, f"{PHOTOS}{tenant_id}/{image_id}", content)
                        report.photos += 1
                    elif await self.deployment.database.read(partial(_is_named, image_id=image_id)):
                        report.missing += 1
                    else:
                        report.gone += 1
                    advance(1)
        except BrokenPipeError:  # the encryption ended, and has the cause
            raise
        except FAULTS as error:
            raise SetupError(f"the image store refuses the backup ({cause_of_store_error(error)})") from error


async def _photos(copy: Connection, objects: Objects) -> AsyncIterator[tuple[str, str, bytes | None]]:
    """Give the photos that a database refers to, in its order, a few of them in advance."""
    columns = gallery_entries.c.tenant_id, gallery_entries.c.image_id
    query = select(*columns).where(gallery_entries.c.image_id.is_not(None)).order_by(gallery_entries.c.key)
    coming: deque[tuple[str, str, asyncio.Task[bytes | None]]] = deque()
    try:
        for tenant_id, image_id in copy.execute(query.execution_options(yield_per=1000)):
            coming.append((tenant_id, image_id, asyncio.create_task(_get(objects, tenant_id, image_id))))
            if len(coming) == PHOTOS_AT_ONCE:
                first = coming.popleft()
                yield first[0], first[1], await first[2]
        while coming:
            first = coming.popleft()
            yield first[0], first[1], await first[2]
    finally:
        for *_, task in coming:
            task.cancel()


async def _get(objects: Objects, tenant_id: str, image_id: str) -> bytes | None:
    """Give a photo's sealed bytes, also from quarantine."""
    for space in spaces_of(tenant_id):
        content = await objects.get(space, image_id)
        if content is not None:
            return content
    return None


def _newest_keys(connection: Connection) -> dict[str, int]:
    """Give the number of each tenant's newest data key."""
    query = select(data_keys.c.tenant_id, func.max(data_keys.c.number)).group_by(data_keys.c.tenant_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def _is_named(connection: Connection, image_id: str) -> bool:
    named = select(gallery_entries.c.key).where(gallery_entries.c.image_id == image_id)
    return connection.execute(named.limit(1)).first() is not None
