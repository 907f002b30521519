"""A whole move, in an order that lets it go on after a kill at any moment.

The target's stores get their mark before anything else: first the image store, then the database. At the end the image
store loses its mark, then the key file is placed, and last the database loses its mark. So a database with the mark of
this move shows that the image store belongs to it, whatever the image store's own mark is.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, make_url, select
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from likeness.errors import SetupError
from likeness.kit.files import create_whole
from likeness.settings import Settings
from likeness.store.images import open_objects
from likeness.store.move.databases import is_same_database, reading, writing
from likeness.store.move.photos import Advance, PhotoMove
from likeness.store.move.rows import RowMove, read_mark, write_mark
from likeness.store.ownership import owned
from likeness.store.sqlite import keep_private
from likeness.store.tables import tenants

BeginStage = Callable[[str, int], Advance]
"""Begins a stage of so many steps. Gives a function that takes the number of steps just done."""


@dataclass(slots=True)
class MoveReport:
    """Numbers of rows and photos that the source holds, and of those that this run has copied."""

    rows: int = 0
    rows_copied: int = 0
    photos: int = 0
    photos_copied: int = 0


class DeploymentMove:
    """The move of a deployment's data from one place to another. The source stays as it is."""

    def __init__(self, source: Settings, target: Settings, token_of: Callable[[Connection], str]) -> None:
        """``token_of`` names the source's deployment by its database. Raises SetupError if nothing is to be moved."""
        self._source = source
        self._target = target
        self._token_of = token_of
        try:
            self.moves_rows = not is_same_database(source.database_address, target.database_address)
        except ArgumentError as error:
            raise _no_database() from error
        self.moves_photos = source.images_address != target.images_address
        if not (self.moves_rows or self.moves_photos):
            raise SetupError("the target is the source: name another data folder, database or image store")

    def run(self, stage: BeginStage) -> MoveReport:
        """Copy, compare, and hand the target over. Raises SetupError, and then the same move can run again."""
        report = MoveReport()
        with ExitStack() as stack:
            stack.enter_context(self._owned())
            source = stack.enter_context(reading(self._source.database_address))
            if read_mark(source) is not None:
                raise SetupError("the source is the target of a move that has not ended")
            token = self._token_of(source)
            self._check_key()
            rows = self._open_rows(source, stack) if self.moves_rows else None
            photos = self._open_photos(source, stack) if self.moves_photos else None
            resumed = self._check_rows(rows, token) if rows else False
            if photos:
                asyncio.run(photos.begin(token, resumed=resumed))
            if rows and not resumed:
                _mark(rows, token)
            if photos:
                report.photos = asyncio.run(photos.count())
                report.photos_copied = asyncio.run(photos.copy(stage("copying photos", report.photos)))
            if rows:
                report.rows = rows.count()
                report.rows_copied = rows.copy(stage("copying rows", report.rows))
                rows.verify(stage("comparing rows", report.rows))
            if photos:
                asyncio.run(photos.verify(stage("comparing photos", report.photos)))
                asyncio.run(photos.finish())
            self._place_key()
            if rows:
                _mark(rows, None)
        return report

    @contextmanager
    def _owned(self) -> Iterator[None]:
        """Own both data folders, so that no server runs on them."""
        with ExitStack() as stack:
            stack.enter_context(owned(self._source.data_dir))
            self._target.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self._source.data_dir.samefile(self._target.data_dir):
                stack.enter_context(owned(self._target.data_dir))
            yield

    def _open_rows(self, source: Connection, stack: ExitStack) -> RowMove:
        try:
            url = make_url(self._target.database_address)
            if url.get_backend_name() == "sqlite":
                keep_private(Path(url.database or ""))
            return RowMove(source, stack.enter_context(writing(self._target.database_address)))
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise _no_database() from error

    def _open_photos(self, source: Connection, stack: ExitStack) -> PhotoMove:
        here, there = (
            stack.enter_context(closing(open_objects(side.images_address))) for side in (self._source, self._target)
        )
        return PhotoMove(here, there, list(source.execute(select(tenants.c.id).order_by(tenants.c.id)).scalars()))

    def _check_rows(self, rows: RowMove, token: str) -> bool:
        """Whether the target's database holds a part of this move. Raises SetupError if it holds anything else."""
        with rows.target.begin():
            found = read_mark(rows.target)
        if found is None and not rows.target_is_empty():
            raise SetupError("the target's database holds data already")
        if found not in {None, token}:
            raise SetupError("the target's database holds a part of another move")
        return found is not None

    def _check_key(self) -> None:
        """Raises SetupError if the target has another master key."""
        key, present = self._source.master_key_file, self._target.master_key_file
        if self._source.has_key_file and present.exists() and present.read_bytes() != key.read_bytes():
            raise SetupError(f"the target has another master key at {present}: it belongs to another deployment")

    def _place_key(self) -> None:
        if self._source.has_key_file and not self._target.master_key_file.exists():
            create_whole(self._target.master_key_file, self._source.master_key_file.read_bytes())


def _mark(rows: RowMove, token: str | None) -> None:
    with rows.target.begin():
        write_mark(rows.target, token)


def _no_database() -> SetupError:
    # The message omits the address, because it may have a password.
    return SetupError(
        "the database's URL is not the address of a database that can be used here. An example is "
        "postgresql+psycopg://user@host/name, which needs likeness-server[postgres]"
    )
