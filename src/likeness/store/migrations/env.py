"""Alembic's entry point."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from likeness.store.tables import metadata

engine = create_engine(context.config.attributes["database_url"], poolclass=NullPool)
with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=engine.dialect.name == "sqlite")
    context.run_migrations()
