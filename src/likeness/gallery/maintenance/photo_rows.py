"""The stored photos that the database names: those of entries, and those that must be deleted."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, delete, func, select

from likeness.store.tables import gallery_entries, photo_deletions


def wanted_images(connection: Connection, image_ids: list[str]) -> set[str]:
    """Give those of the photos that an entry of any tenant refers to. It reads all entries, so use it rarely."""
    wanted: set[str] = set()
    for start in range(0, len(image_ids), 10_000):
        asked = gallery_entries.c.image_id.in_(image_ids[start : start + 10_000])
        wanted.update(connection.execute(select(gallery_entries.c.image_id).where(asked)).scalars())
    return wanted


def image_ids(connection: Connection, tenant_ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give (tenant id, photo's id) of all photos that the entries of some tenants refer to."""
    query = select(gallery_entries.c.tenant_id, gallery_entries.c.image_id).where(
        gallery_entries.c.tenant_id.in_(tenant_ids), gallery_entries.c.image_id.is_not(None)
    )
    for batch in connection.execute(query.execution_options(yield_per=10_000)).partitions():
        yield from ((row[0], row[1]) for row in batch)


def photos_to_delete(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """Give (photo's id, tenant id, entry id) of the photos that must be deleted and may still exist."""
    query = select(photo_deletions.c.image_id, photo_deletions.c.tenant_id, photo_deletions.c.entry_id)
    yield from ((row[0], row[1], row[2]) for row in connection.execute(query))


def count_deletions(connection: Connection) -> int:
    """Count the photos that must be deleted and may still exist."""
    return connection.execute(select(func.count()).select_from(photo_deletions)).scalar_one()


def forget_deletions(connection: Connection, deleted: Sequence[str]) -> None:
    """Remove the records of photos that are deleted."""
    for start in range(0, len(deleted), 10_000):
        some = deleted[start : start + 10_000]
        connection.execute(delete(photo_deletions).where(photo_deletions.c.image_id.in_(some)))
