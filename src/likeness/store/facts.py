"""The facts that a deployment's database records about itself: JSON values by name."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from likeness.store.tables import deployment


def read_fact(connection: Connection, name: str) -> Any:
    """Give a fact's value, or None."""
    return connection.execute(select(deployment.c.value).where(deployment.c.name == name)).scalar_one_or_none()


def record_fact(connection: Connection, name: str, value: Any) -> None:
    """Record a fact in place of its earlier value. None removes it."""
    connection.execute(delete(deployment).where(deployment.c.name == name))
    if value is not None:
        connection.execute(insert(deployment).values(name=name, value=value))
