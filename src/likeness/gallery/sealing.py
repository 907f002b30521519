"""Templates as they are stored: little-endian float32 numbers, sealed under the tenant's key, one entry's or a block of many."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Template
from likeness.tenants.service import Tenant

TEMPLATE_PURPOSE = "template"
BLOCK_PURPOSE = "block of templates"


def seal_template(tenant: Tenant, template: Template, *, pack: str, entry_id: str) -> bytes:
    """Seal a template, bound to its entry and its pack."""
    return tenant.cipher.seal(template.astype("<f4").tobytes(), TEMPLATE_PURPOSE, _record(pack, entry_id))


def open_templates(tenant: Tenant, pack: str, entry_ids: Sequence[str], sealed: Sequence[bytes]) -> NDArray[np.float32]:
    """Open templates of one pack: (n, d) float32. Raises SetupError when one does not open."""
    opened = tenant.cipher.open_many(sealed, TEMPLATE_PURPOSE, [_record(pack, entry_id) for entry_id in entry_ids])
    return np.frombuffer(b"".join(opened), "<f4").astype(np.float32, copy=False).reshape(len(sealed), -1)


def seal_block(tenant: Tenant, pack: str, span: int, keys: NDArray[np.int64], rows: NDArray[np.float32]) -> bytes:
    """Seal (n,) keys and their (n, d) templates as one value, bound to its pack and its span: the count, the keys, the rows."""
    content = np.int64(len(keys)).astype("<i8").tobytes() + keys.astype("<i8").tobytes() + rows.astype("<f4").tobytes()
    return tenant.cipher.seal(content, BLOCK_PURPOSE, _record(pack, str(span)))


def open_block(tenant: Tenant, pack: str, span: int, sealed: bytes) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Open a block: its (n,) keys and (n, d) float32 templates. Raises SetupError when it does not open."""
    content = tenant.cipher.open(sealed, BLOCK_PURPOSE, _record(pack, str(span)))
    count = int(np.frombuffer(content, "<i8", 1)[0])
    keys = np.frombuffer(content, "<i8", count, offset=8).astype(np.int64, copy=False)
    rows = np.frombuffer(content, "<f4", offset=8 + 8 * count).astype(np.float32, copy=False)
    return keys, rows.reshape(count, -1)


def _record(pack: str, name: str) -> str:
    return f"{pack}/{name}"
