"""The database's versions. ``upgrade`` brings a new or old database to the newest version."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, Select, column, create_engine, inspect, make_url, select, table
from sqlalchemy.pool import NullPool

from likeness.store.tables import deployment

if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER = Path(__file__).parent
_FOLLOWS = re.compile(r'^revision = "(\w+)"\ndown_revision = (?:"(\w+)"|None)$', re.MULTILINE)
_VERSION: Select[str] = select(column("version_num")).select_from(table("alembic_version"))


class UnknownVersion(Exception):
    """The database was made by another version of the code."""


def newest() -> str:
    """Give the version that this code needs: the one that no other version follows."""
    follows = dict(_FOLLOWS.findall("\n".join(file.read_text() for file in (_FOLDER / "versions").glob("*.py"))))
    (last,) = follows.keys() - set(follows.values())
    return str(last)


def was_made(database_url: str) -> bool:
    """Whether the database exists and has the tables. Makes no database."""
    return _exists(database_url) and inspect(_engine(database_url)).has_table(deployment.name)


def version_of(connection: Connection) -> str | None:
    """Give the version of a database that has tables."""
    return connection.execute(_VERSION).scalar_one_or_none()


def upgrade(database_url: str) -> None:
    """Bring the database to the newest version. Quick if it has that version. Raises UnknownVersion."""
    if is_newest(database_url):
        return
    # The import takes half a second, and only the first start of a new version needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    try:
        command.upgrade(configuration(database_url), "head")
    except CommandError as error:
        raise UnknownVersion(str(error)) from error


def configuration(database_url: str) -> "Config":
    """Give Alembic's configuration for a database."""
    from alembic.config import Config  # noqa: PLC0415

    configuration = Config()
    configuration.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    configuration.attributes["database_url"] = database_url
    return configuration


def is_newest(database_url: str) -> bool:
    """Whether the database has the newest version."""
    if not _exists(database_url):
        return False
    with _engine(database_url).connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return version_of(connection) == newest()


def _exists(database_url: str) -> bool:
    url = make_url(database_url)
    return url.get_backend_name() != "sqlite" or Path(url.database or "").exists()


def _engine(database_url: str) -> Engine:
    return create_engine(database_url, poolclass=NullPool)
