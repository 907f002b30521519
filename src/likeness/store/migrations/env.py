"""Alembic's entry point."""

import sqlite3

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from likeness.store.tables import metadata

engine = create_engine(context.config.attributes["database_url"], poolclass=NullPool)

if engine.dialect.name == "sqlite":
    # By default the driver begins no transaction before it makes a table. A killed upgrade would then stay half done.
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=engine.dialect.name == "sqlite")
    context.run_migrations()
