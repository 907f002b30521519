"""The database's versions. ``upgrade`` brings a database, new or old, to the newest."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.pool import NullPool

from likeness.store.tables import deployment


def was_made(database_url: str) -> bool:
    """Whether there is a database with our tables; asking makes none."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return False
    return inspect(create_engine(url, poolclass=NullPool)).has_table(deployment.name)


def upgrade(database_url: str) -> None:
    """Bring the database to the newest version; quick when it is there already."""
    command.upgrade(configuration(database_url), "head")


def configuration(database_url: str) -> Config:
    """Give Alembic's configuration for a database."""
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["database_url"] = database_url
    return configuration
