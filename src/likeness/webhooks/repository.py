"""Webhook targets and deliveries in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from likeness.audit.trail import note_sweep
from likeness.store.tables import webhook_deliveries, webhooks


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Not accepted within two hours."""
    FORGOTTEN = "forgotten"
    """Its session was purged before the delivery was accepted."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call to a webhook, made or to be made. Without ``sealed_claims`` it cannot be replayed."""

    id: str
    tenant_id: str
    session_id: str
    jti: str | None
    sealed_claims: bytes | None
    state: str
    tries: int
    next_try_at: float | None
    give_up_at: float
    last_status: int | None
    last_error: str | None
    created_at: float
    delivered_at: float | None


_COLUMNS = tuple(webhook_deliveries.c[name] for name in Delivery.__dataclass_fields__)


def put_target(connection: Connection, tenant_id: str, sealed_target: bytes, *, now: float) -> None:
    """Set a tenant's target, and replace an earlier one."""
    remove_target(connection, tenant_id)
    connection.execute(insert(webhooks).values(tenant_id=tenant_id, sealed_target=sealed_target, changed_at=now))


def remove_target(connection: Connection, tenant_id: str) -> bool:
    """Delete a tenant's target. Give False if there is none."""
    return connection.execute(delete(webhooks).where(webhooks.c.tenant_id == tenant_id)).rowcount == 1


def find_target(connection: Connection, tenant_id: str) -> bytes | None:
    """Give a tenant's sealed target, or None."""
    return connection.execute(
        select(webhooks.c.sealed_target).where(webhooks.c.tenant_id == tenant_id)
    ).scalar_one_or_none()


def add_delivery(connection: Connection, delivery: Delivery) -> None:
    """Store a delivery."""
    values = {name: getattr(delivery, name) for name in Delivery.__dataclass_fields__}
    connection.execute(insert(webhook_deliveries).values(values))


def is_any_due(connection: Connection, *, now: float, skip: Sequence[str]) -> bool:
    """Whether a delivery is due. ``skip`` names tenants that must wait."""
    due = select(webhook_deliveries.c.id).where(
        webhook_deliveries.c.next_try_at <= now, webhook_deliveries.c.tenant_id.not_in(skip)
    )
    return connection.execute(due.limit(1)).first() is not None


def waiting(connection: Connection) -> tuple[int, float | None]:
    """Give how many deliveries wait for a try, and when the first of them is given up."""
    found = select(func.count(), func.min(webhook_deliveries.c.give_up_at))
    row = connection.execute(found.where(webhook_deliveries.c.next_try_at.is_not(None))).one()
    return row[0], row[1]


def claim_due(
    connection: Connection, *, now: float, lease_until: float, limit: int, skip: Sequence[str]
) -> list[Delivery]:
    """Take due deliveries, and set their next try to the end of the lease. Until then no other call takes them."""
    due = select(*_COLUMNS).where(webhook_deliveries.c.next_try_at <= now, webhook_deliveries.c.tenant_id.not_in(skip))
    taken = [_delivery(row) for row in connection.execute(due.order_by(webhook_deliveries.c.next_try_at).limit(limit))]
    ids = [delivery.id for delivery in taken]
    connection.execute(
        update(webhook_deliveries).where(webhook_deliveries.c.id.in_(ids)).values(next_try_at=lease_until)
    )
    return taken


def note_try(
    connection: Connection,
    delivery_id: str,
    *,
    state: DeliveryState,
    next_try_at: float | None,
    status: int | None,
    error: str | None,
    delivered_at: float | None,
) -> None:
    """Record the outcome of a try. A delivery that was forgotten meanwhile stays forgotten."""
    mine = (webhook_deliveries.c.id == delivery_id) & (webhook_deliveries.c.state == DeliveryState.PENDING)
    connection.execute(
        update(webhook_deliveries)
        .where(mine)
        .values(
            state=state,
            tries=webhook_deliveries.c.tries + 1,
            next_try_at=next_try_at,
            last_status=status,
            last_error=error,
            delivered_at=delivered_at,
        )
    )


def replay_delivery(connection: Connection, tenant_id: str, delivery_id: str, *, now: float, give_up_at: float) -> bool:
    """Make a delivery due again. Give False if there is none or its claims are gone."""
    mine = (webhook_deliveries.c.tenant_id == tenant_id) & (webhook_deliveries.c.id == delivery_id)
    return (
        connection.execute(
            update(webhook_deliveries)
            .where(mine, webhook_deliveries.c.sealed_claims.is_not(None))
            .values(state=DeliveryState.PENDING, tries=0, next_try_at=now, give_up_at=give_up_at)
        ).rowcount
        == 1
    )


def list_deliveries(connection: Connection, tenant_id: str, *, limit: int) -> list[Delivery]:
    """Give a tenant's deliveries, newest first."""
    query = select(*_COLUMNS).where(webhook_deliveries.c.tenant_id == tenant_id)
    return [
        _delivery(row)
        for row in connection.execute(query.order_by(webhook_deliveries.c.created_at.desc()).limit(limit))
    ]


def deliveries_with_claims(connection: Connection, tenant_id: str) -> list[Delivery]:
    """Give a tenant's deliveries whose content is still kept."""
    mine = webhook_deliveries.c.tenant_id == tenant_id, webhook_deliveries.c.sealed_claims.is_not(None)
    return [_delivery(row) for row in connection.execute(select(webhook_deliveries).where(*mine))]


def find_session_of_result(connection: Connection, tenant_id: str, jti: str) -> str | None:
    """Give the session whose result has this ``jti``."""
    mine = (webhook_deliveries.c.tenant_id == tenant_id) & (webhook_deliveries.c.jti == jti)
    return connection.execute(select(webhook_deliveries.c.session_id).where(mine).limit(1)).scalar_one_or_none()


def forget_session(connection: Connection, tenant_id: str, session_id: str) -> bool:
    """Erase the claims of a session's deliveries. Pending ones are not sent. Give False if there were no claims."""
    mine = (webhook_deliveries.c.tenant_id == tenant_id) & (webhook_deliveries.c.session_id == session_id)
    erased = update(webhook_deliveries).where(mine, webhook_deliveries.c.sealed_claims.is_not(None))
    found = connection.execute(erased.values(sealed_claims=None, next_try_at=None)).rowcount
    waiting = webhook_deliveries.c.state == DeliveryState.PENDING
    connection.execute(
        update(webhook_deliveries).where(mine, waiting).values(state=DeliveryState.FORGOTTEN, next_try_at=None)
    )
    return found > 0


def remove_old(connection: Connection, *, claims_before: float, rows_before: float) -> None:
    """Erase the claims of finished deliveries older than ``claims_before``, and rows older than ``rows_before``."""
    done = webhook_deliveries.c.next_try_at.is_(None)
    old = delete(webhook_deliveries).where(done, webhook_deliveries.c.created_at < rows_before)
    note_sweep(connection, "webhook deliveries", connection.execute(old).rowcount)
    erased = connection.execute(
        update(webhook_deliveries)
        .where(done, webhook_deliveries.c.created_at < claims_before, webhook_deliveries.c.sealed_claims.is_not(None))
        .values(sealed_claims=None)
    )
    note_sweep(connection, "claims of webhook deliveries", erased.rowcount)


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    return Delivery(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name for a row as a mapping
