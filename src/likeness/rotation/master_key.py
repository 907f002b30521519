"""The rotation of the master key: every key that it wraps is wrapped anew. The data stays as it is."""

import time
from functools import partial

from sqlalchemy import Connection, select, update

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.deployment import KEY_CONTEXT, KEY_FACT, OLD_KEY_FACT, Deployment
from likeness.errors import SetupError
from likeness.kit.envelope import FileKeyProvider, KeyProvider, next_key_file
from likeness.kit.files import sync_folder
from likeness.store.facts import read_fact, record_fact
from likeness.store.tables import data_keys, signing_keys
from likeness.tenants.service import key_context

SETTLE_SECONDS = 2.0
"""Longer than a server takes from wrapping a new key to storing it."""


def prepare_next_key(deployment: Deployment) -> None:
    """Put the next master key beside the present one, unless it is there."""
    path = next_key_file(deployment.settings.master_key_file)
    if not path.exists():
        FileKeyProvider.new().save(path)


def rotate_master_key(deployment: Deployment) -> int:
    """Replace the master key in its file. Give the number of keys that are wrapped anew. A stop half-way loses nothing.

    A running server goes on: it reads the files again. Raises SetupError, ServiceUnavailable.
    """
    path = deployment.settings.master_key_file
    prepare_next_key(deployment)
    old, new = FileKeyProvider.read(path), FileKeyProvider.read(next_key_file(path))
    time.sleep(SETTLE_SECONDS)  # from here on every server wraps with the next key
    count = wrap_anew(deployment, old, new)
    next_key_file(path).replace(path)
    sync_folder(path.parent)
    return count


def wrap_anew(deployment: Deployment, old: KeyProvider, new: KeyProvider) -> int:
    """Wrap every key with ``new`` in one transaction. Give their number. Raises SetupError if one does not open."""
    return deployment.database.write_now(partial(_wrap_all, old=old, new=new), exclusive=True)


def _wrap_all(connection: Connection, old: KeyProvider, new: KeyProvider) -> int:
    def again(wrapped: bytes, context: str) -> bytes:
        try:
            return new.wrap(old.unwrap(wrapped, context), context)
        except SetupError:  # an earlier try, or a server that knows of the next key, has wrapped it
            new.unwrap(wrapped, context)
            return wrapped

    count = 0
    for name, context in ((KEY_FACT, KEY_CONTEXT), (OLD_KEY_FACT, OLD_KEY_FACT)):
        if sealed := read_fact(connection, name):
            record_fact(connection, name, again(bytes.fromhex(sealed), context).hex())
            count += 1
    for row in connection.execute(select(data_keys).with_for_update()).all():
        mine = (data_keys.c.tenant_id == row.tenant_id) & (data_keys.c.number == row.number)
        wrapped = again(row.sealed_key, key_context(row.tenant_id, row.number))
        connection.execute(update(data_keys).where(mine).values(sealed_key=wrapped))
        count += 1
    for row in connection.execute(select(signing_keys).with_for_update()).all():
        wrapped = again(row.sealed_private_key, row.kid)
        connection.execute(update(signing_keys).where(signing_keys.c.kid == row.kid).values(sealed_private_key=wrapped))
        count += 1
    note(connection, Action.KEY_CREATION, "master key")
    return count
