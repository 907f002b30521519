"""The stored form of templates: little-endian float32 numbers, sealed under the tenant's key.

A sealed value has the template of one entry, or a block of many.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from likeness.engine.base import Template
from likeness.engine.packs.identity import PackIdentity
from likeness.errors import SetupError
from likeness.tenants.service import Tenant

TEMPLATE_PURPOSE = "template"
BLOCK_PURPOSE = "block of templates"
_NORM_TOLERANCE = 1e-3
"""More than the error of float32 arithmetic in a unit vector's length."""


class Damage(StrEnum):
    """Why a stored template cannot be compared."""

    SEAL = "does not open"
    SIZE = "has the wrong length"
    NUMBERS = "has a number that is not finite"
    NORM = "is not a unit vector"


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """Templates of one pack: (n, d) float32 rows. The rows at ``damaged`` positions have no meaning."""

    rows: NDArray[np.float32]
    damaged: Mapping[int, Damage] = field(default_factory=dict)

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Which rows can be compared: (n,)."""
        sound = np.ones(len(self.rows), np.bool_)
        sound[list(self.damaged)] = False
        return sound


def seal_template(tenant: Tenant, template: Template, *, pack: PackIdentity, entry_id: str) -> bytes:
    """Seal a template, bound to its entry and its pack."""
    return tenant.cipher.seal(template.astype("<f4").tobytes(), TEMPLATE_PURPOSE, _record(pack, entry_id))


def open_templates(
    tenant: Tenant, pack: PackIdentity, entry_ids: Sequence[str], sealed: Sequence[bytes], size: int
) -> Opened:
    """Open templates of one pack, each with ``size`` numbers. A damaged one does not stop the others."""
    records = [_record(pack, entry_id) for entry_id in entry_ids]
    contents: Sequence[bytes | None]
    try:
        contents = tenant.cipher.open_many(sealed, TEMPLATE_PURPOSE, records)
    except SetupError:
        contents = [_open(tenant, *each) for each in zip(sealed, records, strict=True)]
    damaged: dict[int, Damage] = {}
    nothing = bytes(4 * size)
    for position, content in enumerate(contents):
        if content is None or len(content) != len(nothing):
            damaged[position] = Damage.SEAL if content is None else Damage.SIZE
    whole = b"".join(nothing if n in damaged or each is None else each for n, each in enumerate(contents))
    rows = np.frombuffer(whole, "<f4").astype(np.float32, copy=False).reshape(len(sealed), size)
    for position in np.flatnonzero(~unit_rows(rows)).tolist():
        damaged.setdefault(position, Damage.NORM if np.isfinite(rows[position]).all() else Damage.NUMBERS)
    return Opened(rows, damaged)


def template_length(
    tenant: Tenant, pack: PackIdentity, entry_ids: Sequence[str], sealed: Sequence[bytes]
) -> int | None:
    """Give how many numbers most of some templates of a pack have. None if none of them opens."""
    contents = (_open(tenant, each, _record(pack, name)) for name, each in zip(entry_ids, sealed, strict=True))
    lengths = Counter(len(content) // 4 for content in contents if content)
    return lengths.most_common(1)[0][0] if lengths else None


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which of (n, d) rows are unit vectors: (n,)."""
    squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    units: NDArray[np.bool_] = np.abs(squares - 1) <= 2 * _NORM_TOLERANCE  # NaN compares false
    return units


def seal_block(
    tenant: Tenant, pack: PackIdentity, span: int, keys: NDArray[np.int64], rows: NDArray[np.float32]
) -> bytes:
    """Seal (n,) keys and their (n, d) templates as one value, bound to its pack and its span.

    The content is the count, then the keys, then the rows.
    """
    content = np.int64(len(keys)).astype("<i8").tobytes() + keys.astype("<i8").tobytes() + rows.astype("<f4").tobytes()
    return tenant.cipher.seal(content, BLOCK_PURPOSE, _record(pack, str(span)))


def open_block(
    tenant: Tenant, pack: PackIdentity, span: int, sealed: bytes, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
    """Open a block. Give its (n,) keys and (n, size) float32 templates, or None when it is damaged."""
    try:
        content = tenant.cipher.open(sealed, BLOCK_PURPOSE, _record(pack, str(span)))
        count = int(np.frombuffer(content, "<i8", 1)[0])
        keys = np.frombuffer(content, "<i8", count, offset=8).astype(np.int64, copy=False)
        rows = np.frombuffer(content, "<f4", offset=8 + 8 * count).reshape(count, size)
    except (SetupError, ValueError):
        return None
    return (keys, rows.astype(np.float32, copy=False)) if unit_rows(rows).all() else None


def _open(tenant: Tenant, sealed: bytes, record: str) -> bytes | None:
    try:
        return tenant.cipher.open(sealed, TEMPLATE_PURPOSE, record)
    except SetupError:
        return None


def _record(pack: PackIdentity, name: str) -> str:
    return f"{pack}/{name}"
