"""A deployment whose trail a test writes, reads and tampers with."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from likeness.audit.actions import Action
from likeness.audit.records import TrailRecord, read_records
from likeness.audit.seals import SealPlace
from likeness.audit.trail import note
from likeness.audit.verification import TrailCheck, TrailReport
from likeness.deployment import Deployment, initialise, is_initialised, open_deployment
from likeness.kit.clock import Clock
from servers import test_settings


@contextmanager
def opened(folder: Path, clock: Clock | None = None, **settings: Any) -> Iterator[Deployment]:
    chosen = test_settings(folder, **settings)
    if not is_initialised(chosen):
        initialise(chosen)
    with closing(open_deployment(chosen, clock)) as deployment:
        yield deployment


def append(deployment: Deployment, *objects: str, action: Action = Action.ERASURE) -> None:
    """Append a record for each object, each in a transaction of its own."""
    for each in objects:
        deployment.database.write_now(partial(note, action=action, object_id=each, tenant="t"))


def records(deployment: Deployment) -> list[TrailRecord]:
    def read(connection: Connection) -> list[TrailRecord]:
        return list(read_records(connection, lambda query: query.order_by("time", "strand", "number"), batch=100))

    return deployment.database.read_now(read)


def check(deployment: Deployment, kept: SealPlace | None = None) -> TrailReport:
    return deployment.database.read_now(TrailCheck(deployment.seals.key, deployment.seals.signer, kept).run)


def tamper(folder: Path, *statements: str) -> None:
    """Change the database as somebody does who has the file but not the master key."""
    with closing(sqlite3.connect(folder / "likeness.sqlite3")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
