"""How a backup becomes a deployment again: in an empty place, and only if it is whole and the deployment's own.

The photos go into the image store while the backup is read. The store has a mark until the end, so that no server uses
it. The database waits in a folder of its own until its audit trail is checked.
"""

import asyncio
import io
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sqlalchemy import Connection

from likeness.audit.actions import Action
from likeness.audit.actor import ACTOR, OPERATOR
from likeness.audit.seals import KEPT_NAME, SealPlace
from likeness.audit.trail import note
from likeness.audit.verification import TrailCheck
from likeness.backup.archive import DATABASE, KEY, PIECE_BYTES, Counted, Identity
from likeness.backup.reading import BackupReading, Contents
from likeness.deployment import key_provider, open_deployment
from likeness.errors import SetupError
from likeness.kit.envelope import KeyProvider
from likeness.kit.files import create_whole, replacing, sync_folder
from likeness.settings import Settings
from likeness.store.generations import mark_of
from likeness.store.images import FAULTS, MARK, MOVE_MARK, Objects, open_objects
from likeness.store.move.databases import reading, writing
from likeness.store.move.moving import BeginStage
from likeness.store.move.rows import RowMove, read_mark, write_mark
from likeness.store.ownership import owned
from likeness.store.remote import cause_of_store_error

WORK_PREFIX = ".restore-"
SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored.

    ``gone`` counts photos that were erased while the backup was made. ``records`` of the audit trail were checked.
    ``outdated``: the backup lacks the seal that was kept.
    """

    id: str
    time: float
    program: str
    entries: int
    photos: int
    gone: int
    records: int
    seal: SealPlace
    outdated: bool

    @property
    def made(self) -> str:
        """When the backup began, in UTC."""
        return datetime.fromtimestamp(self.time, UTC).isoformat(" ", "seconds")


@dataclass(frozen=True, slots=True)
class Restoration:
    """The restore of one backup into the empty place that ``target`` names.

    ``kept`` is a seal that the operator kept. With ``older``, a backup that lacks it is restored all the same.
    """

    target: Settings
    identities: Sequence[Identity]
    kept: SealPlace | None = None
    older: bool = False

    def run(self, source: IO[bytes], size: int, stage: BeginStage) -> RestoreReport:
        """Restore a backup of ``size`` bytes.

        Raises SetupError if the target is not empty, or the backup is damaged, altered or older than ``kept``. Then no
        server starts on the target, and the restore can run again.
        """
        target = self.target
        target.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as stack:
            stack.enter_context(owned(target.data_dir))
            if target.database_url is None and target.database_file.exists():
                raise SetupError(f"there is a database at {target.database_file}: restore into an empty data folder")
            objects = stack.enter_context(closing(open_objects(target.images_address)))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=WORK_PREFIX, dir=target.data_dir)))
            counted = io.BufferedReader(Counted(source, stage("reading the backup, in MiB", size // PIECE_BYTES + 1)))
            read = BackupReading(self.identities, target.master_key_file, objects, _provider(target))
            try:
                contents = asyncio.run(read.run(counted, folder / DATABASE))
                report = self._check(contents, folder)
                self._place(contents, folder, objects, report)
            except SetupError:
                asyncio.run(read.undo())
                raise
            except FAULTS as error:
                raise SetupError(f"the restore cannot go on ({cause_of_store_error(error)}): run it again") from error
        with closing(open_deployment(target)) as deployment:
            ACTOR.set(OPERATOR)
            deployment.database.write_now(lambda connection: note(connection, Action.RESTORE, report.id))
        return report

    def _check(self, contents: Contents, folder: Path) -> RestoreReport:
        """Upgrade the database, and check its audit trail and its age."""
        key_file = self.target.master_key_file
        if self.target.has_key_file and not key_file.exists():
            key_file = folder / KEY
            create_whole(key_file, contents.key_inside or b"")
        alone = {
            "data_dir": folder,
            "database_url": None,
            "images_url": None,
            "key_file": key_file,
            "gallery": "memory",
        }
        staged = self.target.model_copy(update=alone)
        (folder / DATABASE).replace(staged.database_file)
        with closing(open_deployment(staged)) as deployment:
            trail = deployment.database.read_now(TrailCheck(deployment.seals.key, deployment.seals.signer).run)
            lacks = self.kept is not None and not deployment.seals.has(self.kept)
        if trail.faults:
            raise SetupError(f"the audit trail in the backup was altered: {'; '.join(trail.faults[:SHOWN_FAULTS])}")
        header, claims = contents.header, contents.claims
        report = RestoreReport(
            id=header["id"],
            time=claims["time"],
            program=header["program"],
            entries=header["entries"],
            photos=claims["photos"],
            gone=claims["gone"],
            records=trail.records,
            seal=trail.newest,
            outdated=lacks,
        )
        if self.kept and lacks:
            self._judge_age(self.kept, report)
        return report

    def _judge_age(self, kept: SealPlace, report: RestoreReport) -> None:
        if kept.number <= report.seal.number:
            raise SetupError(f"the backup has another seal {kept.number} than the one that you kept: it is not yours")
        if not self.older:
            raise SetupError(
                f"this backup is older than the seal that you kept: it is from {report.made} and ends with seal "
                f"{report.seal.number}, and you kept seal {kept.number}. Take a newer backup. With --older it is "
                "restored all the same, and what came after it is lost"
            )

    def _place(self, contents: Contents, folder: Path, objects: Objects, report: RestoreReport) -> None:
        """Hand over. The database comes last: without it, or while it has a mark, no server starts."""
        target, staged = self.target, folder / self.target.database_file.name
        with reading(f"sqlite:///{staged}") as copy:
            mark = mark_of(copy)
            if target.database_url is not None:
                _copy_rows(copy, target.database_url, report.id)
        asyncio.run(_finish(objects, mark))
        with replacing(target.data_dir / KEPT_NAME) as file:
            file.write(f"{report.seal}\n".encode())
        if target.has_key_file and not target.master_key_file.exists():
            create_whole(target.master_key_file, contents.key_inside or b"")
        if target.database_url is None:
            staged.replace(target.database_file)
            sync_folder(target.data_dir)
        else:
            with writing(target.database_url) as connection, connection.begin():
                write_mark(connection, None)


def _copy_rows(source: Connection, url: str, token: str) -> None:
    """Copy all rows into a marked database. Raises SetupError if it holds anything but a part of this restore."""
    with writing(url) as target:
        rows = RowMove(source, target)
        with target.begin():
            found = read_mark(target)
        if found != token and not (found is None and rows.target_is_empty()):
            raise SetupError("the database of LIKENESS_DATABASE_URL holds data already: restore into an empty one")
        with target.begin():
            write_mark(target, token)
        rows.copy(lambda _: None)
        rows.verify(lambda _: None)


async def _finish(objects: Objects, mark: bytes | None) -> None:
    if mark is not None:
        await objects.replace("", MARK, mark)
    await objects.delete("", MOVE_MARK)


def _provider(target: Settings) -> KeyProvider | None:
    """Give the provider of the master key, if it is not in a file or in the backup."""
    return None if target.has_key_file else key_provider(target)
