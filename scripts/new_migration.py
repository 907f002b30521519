"""Write a migration from the difference between the tables and the newest migration: new_migration.py MESSAGE."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from likeness.store import migrations

with tempfile.TemporaryDirectory() as folder:
    url = f"sqlite:///{Path(folder) / 'new.sqlite3'}"
    migrations.upgrade(url)
    configuration = migrations.configuration(url)
    command.revision(configuration, message=" ".join(sys.argv[1:]), autogenerate=True)
