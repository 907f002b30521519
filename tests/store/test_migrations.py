"""The database's versions, up and down. The newest one has the tables of the code."""

import json
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from likeness.access.repository import SecretRow
from likeness.access.schemas import ClientSettings
from likeness.store import migrations
from likeness.store.tables import metadata

FIRST = "985708885580"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a % b.sqlite3'}"


@pytest.fixture
def engine(url: str) -> Engine:
    return create_engine(url)


def test_there_is_one_newest_version(url: str) -> None:
    assert ScriptDirectory.from_config(migrations.configuration(url)).get_heads() == [migrations.newest()]


def test_a_new_database_has_the_tables_of_the_code(url: str, engine: Engine) -> None:
    migrations.upgrade(url)
    migrations.upgrade(url)  # does nothing
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert "AUTOINCREMENT" in _sql(engine, "gallery_entries")
    engine.dispose()


def test_every_version_can_be_undone(url: str, engine: Engine) -> None:
    migrations.upgrade(url)
    command.downgrade(migrations.configuration(url), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrations.upgrade(url)
    engine.dispose()


def test_a_gallery_from_before_it_had_packs_gets_that_of_its_templates(url: str, engine: Engine) -> None:
    command.upgrade(migrations.configuration(url), FIRST)
    with engine.begin() as connection:
        tenants = [{"name": "full"}, {"name": "empty"}]
        connection.execute(text("INSERT INTO tenants VALUES (:name, :name, x'00', '{}', 0)"), tenants)
        keys = [{"key": 1}, {"key": 2}]
        entry = "INSERT INTO gallery_entries VALUES (:key, :key, 'full', NULL, '{}', 90, NULL, 0)"
        connection.execute(text(entry), keys)
        connection.execute(text("INSERT INTO gallery_templates VALUES (:key, 'builtin@1', x'00')"), keys)
    migrations.upgrade(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM galleries")).all() == [("full", "builtin@1", None, 0, None)]
        assert connection.execute(text("SELECT count(*) FROM gallery_templates")).scalar() == 2
    engine.dispose()


def test_a_clients_secret_is_kept_when_there_may_be_several(url: str, engine: Engine) -> None:
    configuration = migrations.configuration(url)
    command.upgrade(configuration, "e81f04c7d25b")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenants VALUES ('t', 't', x'00', '{}', 0)"))
        connection.execute(text("INSERT INTO clients VALUES ('c', 't', 'c', 'abc', '[]', 5, NULL)"))
    migrations.upgrade(url)
    with engine.connect() as connection:
        secrets, settings = connection.execute(text("SELECT secrets, settings FROM clients")).one()
    assert [SecretRow(**secret) for secret in json.loads(secrets)] == [SecretRow("first", "abc", 5)]
    assert ClientSettings.model_validate_json(settings) == ClientSettings()
    command.downgrade(configuration, "e81f04c7d25b")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT secret_hash FROM clients")).scalar_one() == "abc"
    engine.dispose()


def test_a_tenants_key_is_kept_when_there_may_be_several(url: str, engine: Engine) -> None:
    configuration = migrations.configuration(url)
    command.upgrade(configuration, "c1f2a9d47b36")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenants VALUES ('t', 't', x'0102', '{}', 5)"))
    migrations.upgrade(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM data_keys")).all() == [("t", 0, b"\x01\x02", 5)]
    command.downgrade(configuration, "c1f2a9d47b36")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT sealed_data_key FROM tenants")).scalar_one() == b"\x01\x02"
    engine.dispose()


def _sql(engine: Engine, table: str) -> str:
    with engine.connect() as connection:
        return str(
            connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": table}).scalar()
        )


def test_an_upgrade_that_fails_half_way_leaves_nothing_behind(url: str, engine: Engine) -> None:
    command.upgrade(migrations.configuration(url), "e3f0eec89420")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE reindexes (in_the_way INTEGER)"))
    with pytest.raises(OperationalError, match="already exists"):
        migrations.upgrade(url)
    assert "galleries" not in inspect(engine).get_table_names()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE reindexes"))
    migrations.upgrade(url)
    assert "galleries" in inspect(engine).get_table_names()
    engine.dispose()
