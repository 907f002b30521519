"""Accounts and visits in the database."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from likeness.audit.actions import Action
from likeness.audit.trail import note
from likeness.store.tables import accounts, console_visits

FACTS_PURPOSE = "account"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as stored. All that decides is in ``sealed_facts``, so that nobody can change it in the database."""

    id: str
    tenant_id: str
    name_digest: str
    sealed_facts: bytes
    last_step: int
    """The step of the last code that was used, so that none works twice."""
    created_at: float


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit: the time from a person's sign-in to the sign-out. Only a MAC of its token is stored.

    It has ended at ``expires_at`` unless it is used before. Its token has the last moment that it can last to.
    """

    digest: str
    tenant_id: str
    account_id: str
    expires_at: float


_ACCOUNT = tuple(accounts.c[name] for name in AccountRow.__dataclass_fields__)
_VISIT = tuple(console_visits.c[name] for name in VisitRow.__dataclass_fields__)


def add_account(connection: Connection, row: AccountRow) -> None:
    """Store a new account. Raises IntegrityError when its name is taken."""
    connection.execute(insert(accounts).values({name: getattr(row, name) for name in AccountRow.__dataclass_fields__}))
    note(connection, Action.ACCOUNT_CREATION, row.id, tenant=row.tenant_id)


def find_account(connection: Connection, name_digest: str) -> AccountRow | None:
    """Give the account with this name, or None."""
    return _account(connection.execute(select(*_ACCOUNT).where(accounts.c.name_digest == name_digest)).one_or_none())


def accounts_of(connection: Connection, tenant_id: str) -> list[AccountRow]:
    """Give a tenant's accounts, the oldest first."""
    query = select(*_ACCOUNT).where(accounts.c.tenant_id == tenant_id).order_by(accounts.c.created_at)
    return [AccountRow(*row) for row in connection.execute(query)]


def change_account(connection: Connection, row: AccountRow, sealed_facts: bytes) -> None:
    """Replace the facts of an account, and end its visits."""
    mine = (accounts.c.tenant_id == row.tenant_id) & (accounts.c.id == row.id)
    connection.execute(update(accounts).where(mine).values(sealed_facts=sealed_facts))
    its = (console_visits.c.tenant_id == row.tenant_id) & (console_visits.c.account_id == row.id)
    connection.execute(delete(console_visits).where(its))
    note(connection, Action.ACCOUNT_CHANGE, row.id, tenant=row.tenant_id)


def begin_visit(connection: Connection, visit: VisitRow, *, step: int, now: float) -> bool:
    """Use the code of a step, and begin a visit. Give False if a code of this step or a later one was used before."""
    mine = (accounts.c.tenant_id == visit.tenant_id) & (accounts.c.id == visit.account_id)
    if (
        connection.execute(update(accounts).where(mine, accounts.c.last_step < step).values(last_step=step)).rowcount
        != 1
    ):
        return False
    connection.execute(delete(console_visits).where(console_visits.c.expires_at <= now))
    connection.execute(
        insert(console_visits).values({name: getattr(visit, name) for name in VisitRow.__dataclass_fields__})
    )
    return True


def find_visit(connection: Connection, digest: str, *, now: float) -> tuple[AccountRow, float] | None:
    """Give the account of a visit that has not ended, and the visit's ``expires_at``, or None."""
    visiting = (console_visits.c.digest == digest) & (console_visits.c.expires_at > now)
    both = accounts.join(console_visits, console_visits.c.account_id == accounts.c.id)
    query = select(*_ACCOUNT, console_visits.c.expires_at).select_from(both).where(visiting)
    row = connection.execute(query).one_or_none()
    return (AccountRow(*row[:-1]), float(row[-1])) if row else None


def prolong_visit(connection: Connection, tenant_id: str, digest: str, *, expires_at: float) -> None:
    """Let a visit that is used last longer, if there still is one."""
    it = (console_visits.c.tenant_id == tenant_id) & (console_visits.c.digest == digest)
    connection.execute(update(console_visits).where(it).values(expires_at=expires_at))


def end_visit(connection: Connection, digest: str) -> None:
    """End a visit, if there is one."""
    connection.execute(delete(console_visits).where(console_visits.c.digest == digest))


def _account(row: Row[*tuple[object, ...]] | None) -> AccountRow | None:
    return AccountRow(*row) if row else None  # type: ignore[arg-type]  # the columns have these types
