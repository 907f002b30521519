"""The accounts of a tenant's people, and their visits to the console.

A sign-in needs a password and a code of the moment (TOTP, RFC 6238). The server makes both secrets and shows them once.
The name, the role, the argon2id hash of the password and the TOTP secret are sealed under the tenant's data key. So
nobody can read or change them in the database. A keyed digest of the name finds the account. A visit's token names its
account and its end. The database has a MAC of it, so nobody can add a visit there.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from argon2.low_level import ARGON2_VERSION
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy.exc import IntegrityError

from likeness.console.accounts import repository
from likeness.console.accounts.repository import FACTS_PURPOSE, AccountRow, VisitRow
from likeness.console.accounts.roles import Role
from likeness.errors import Conflict, NotFound, ServiceUnavailable, TooManyRequests
from likeness.kit.clock import Clock
from likeness.kit.executors import SizedExecutor
from likeness.kit.ids import new_id
from likeness.store.database import Database
from likeness.tenants.service import Tenant, Tenants, check_name

VISIT_SECONDS = 8 * 3600.0
"""The longest time of a visit."""
IDLE_SECONDS = 30 * 60.0
"""The longest time between two requests of a visit."""
NOTED_SECONDS = 60.0
"""How exactly the last request is known, so that few requests write."""
PASSWORD_BYTES = 15
"""Random bytes of a password. It has 24 characters."""
TOTP_BYTES, DIGITS, STEP_SECONDS = 20, 6, 30
FAILURES, FAILURE_SECONDS = 5, 60.0
"""Wrong sign-ins of one name from one address in a time. Others of the name can sign in all the while."""
TRACKED = 10_000
WAITING = 16
"""Sign-ins that wait for the check of a password, which keeps one core busy."""


class WrongSignIn(Exception):
    """The name, the password or the code is wrong. The caller never learns which of them."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who may use the console of one tenant."""

    id: str
    tenant_id: str
    name: str
    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class NewSecrets:
    """The password and the TOTP secret of an account. They are shown only once."""

    account: Account
    password: str
    totp_address: str
    """``otpauth://...``, for an authenticator."""


class Accounts:
    """The accounts of every tenant. ``key`` is a key of the deployment."""

    def __init__(self, database: Database, tenants: Tenants, clock: Clock, key: bytes) -> None:
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._key = key
        self._hasher = PasswordHasher()

    def create(self, tenant: Tenant, name: str, role: Role) -> NewSecrets:
        """Make an account. Raises Conflict when the name is taken in the deployment, InvalidInput when not valid."""
        check_name(name)
        account = Account(new_id(), tenant.id, name, role, disabled=False)
        made, sealed = self._new_secrets(tenant, account)
        now = self._clock.now()
        row = AccountRow(account.id, tenant.id, self._digest(name), sealed, 0, now)
        try:
            self._database.write_now(lambda c: repository.add_account(c, row))
        except IntegrityError as error:
            raise Conflict("There is an account of this name already. A name is unique in the deployment.") from error
        return made

    def of_tenant(self, tenant: Tenant) -> list[Account]:
        """Give a tenant's accounts, the oldest first."""
        rows = self._database.read_now(lambda c: repository.accounts_of(c, tenant.id))
        return [_account(row, _open(tenant, row)) for row in rows]

    def renew(self, tenant: Tenant, name: str) -> NewSecrets:
        """Give an account a new password and a new TOTP secret, enable it, and end its visits. Raises NotFound."""
        row = self._named(tenant, name)
        account = replace(_account(row, _open(tenant, row)), disabled=False)
        made, sealed = self._new_secrets(tenant, account)
        self._database.write_now(lambda c: repository.change_account(c, row, sealed))
        return made

    def change_role(self, tenant: Tenant, name: str, role: Role) -> None:
        """Give an account another role, and end its visits. Raises NotFound."""
        self._change(tenant, name, role=role)

    def disable(self, tenant: Tenant, name: str) -> None:
        """Refuse an account, and end its visits. Raises NotFound."""
        self._change(tenant, name, disabled=True)

    def _change(self, tenant: Tenant, name: str, **changes: object) -> None:
        row = self._named(tenant, name)
        sealed = _seal(tenant, row.id, _open(tenant, row) | changes)
        self._database.write_now(lambda c: repository.change_account(c, row, sealed))

    def _named(self, tenant: Tenant, name: str) -> AccountRow:
        row = self._database.read_now(lambda c: repository.find_account(c, self._digest(name)))
        if row is None or row.tenant_id != tenant.id:
            raise NotFound(f"The tenant has no account {name!r}.")
        return row

    def _digest(self, name: str) -> str:
        return hmac.digest(self._key, name.casefold().encode(errors="surrogatepass"), hashlib.sha256).hex()

    def _new_secrets(self, tenant: Tenant, account: Account) -> tuple[NewSecrets, bytes]:
        password = base64.b32encode(secrets.token_bytes(PASSWORD_BYTES)).decode().lower()
        seed = base64.b32encode(secrets.token_bytes(TOTP_BYTES)).decode()
        facts = {"name": account.name, "role": account.role, "disabled": False}
        facts |= {"password": self._hasher.hash(password), "totp": seed}
        address = f"otpauth://totp/Likeness:{quote(account.name)}?secret={seed}&issuer=Likeness"
        return NewSecrets(account, password, address), _seal(tenant, account.id, facts)

    async def find(self, name: str) -> tuple[AccountRow, dict[str, Any]] | None:
        """Give the enabled account of a name, with its facts, or None."""
        row = await self._database.read(lambda c: repository.find_account(c, self._digest(name)))
        facts = None if row is None else _open(await self._tenants.get(row.tenant_id), row)
        return None if row is None or facts is None or facts["disabled"] else (row, facts)

    def mac(self, token: str) -> str:
        """Give the MAC of a visit's token."""
        return hmac.digest(self._key, f"visit {token}".encode(errors="replace"), hashlib.sha256).hex()


class Visits:
    """Signs people in and out. One event loop uses it."""

    def __init__(self, accounts: Accounts, database: Database, tenants: Tenants, clock: Clock) -> None:
        self._accounts = accounts
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._hasher = PasswordHasher()
        self._nobody = _hash_of_nobody(self._hasher)
        """What the password for an unknown name is compared with, so that it takes as long."""
        self._checks = SizedExecutor("password", workers=1, queue_limit=WAITING)
        self._failures: dict[tuple[str, str], deque[float]] = {}

    async def begin(self, name: str, password: str, code: str, *, address: str) -> tuple[str, Account]:
        """Sign a person in. Give the secret token of the visit, and the account.

        Raises WrongSignIn, TooManyRequests after too many wrong ones of this name from this address, and
        ServiceUnavailable.
        """
        caller = name.casefold()[:64], address
        self._refuse_guessing(caller)
        found = await self._accounts.find(name)
        facts: dict[str, Any] = found[1] if found else {"password": self._nobody, "totp": ""}
        right = await self._checks.run(self._is_right, facts["password"], password)
        step = _step(facts["totp"], code, self._clock.now()) if found and right else None
        if found is None or step is None:
            self._note_failure(caller)
            raise WrongSignIn
        row, now = found[0], self._clock.now()
        ends_at = int(now + VISIT_SECONDS)
        token = f"{row.id}.{ends_at}.{secrets.token_urlsafe(32)}"
        visit = VisitRow(self._accounts.mac(token), row.tenant_id, row.id, now + IDLE_SECONDS)
        if not await self._database.write(lambda c: repository.begin_visit(c, visit, step=step, now=now)):
            self._note_failure(caller)
            raise WrongSignIn
        return token, _account(row, facts)

    async def find(self, token: str) -> Account | None:
        """Give the account of a visit, which lasts longer by that, or None if it has ended or never was."""
        now, digest = self._clock.now(), self._accounts.mac(token)
        found = await self._database.read(lambda c: repository.find_visit(c, digest, now=now))
        account_id, _, rest = token.partition(".")
        if found is None or found[0].id != account_id or not int(rest.partition(".")[0]) > now:
            return None
        row, expires_at = found
        account = _account(row, _open(await self._tenants.get(row.tenant_id), row))
        if account.disabled:
            return None
        if expires_at < (later := now + IDLE_SECONDS) - NOTED_SECONDS:
            with contextlib.suppress(ServiceUnavailable):  # what is only read can still be read
                await self._database.write(
                    lambda c: repository.prolong_visit(c, row.tenant_id, digest, expires_at=later)
                )
        return account

    async def end(self, token: str) -> None:
        """Sign a person out."""
        await self._database.write(lambda c: repository.end_visit(c, self._accounts.mac(token)))

    def close(self) -> None:
        """End the thread that checks passwords."""
        self._checks.close()

    def _is_right(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    def _refuse_guessing(self, caller: tuple[str, str]) -> None:
        recent = self._failures.get(caller)
        now = self._clock.now()
        while recent and recent[0] <= now - FAILURE_SECONDS:
            recent.popleft()
        if recent and len(recent) >= FAILURES:
            wait = int(recent[0] + FAILURE_SECONDS - now) + 1
            raise TooManyRequests("Too many wrong sign-ins. Wait a minute.", retry_after_seconds=wait)

    def _note_failure(self, caller: tuple[str, str]) -> None:
        if len(self._failures) >= TRACKED:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(caller, deque()).append(self._clock.now())


def code_of(seed: str, now: float) -> str:
    """Give the code of a TOTP secret (base32) at a moment."""
    return TOTP(base64.b32decode(seed), DIGITS, SHA1(), STEP_SECONDS).generate(int(now)).decode()  # noqa: S303  RFC 6238


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Give a hash that no password has. It takes as long to check as a real one, and no time to make."""
    salt, tag = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${tag}"


def _step(seed: str, code: str, now: float) -> int | None:
    """Give the step of a right code: the present one, or one beside it. None for a wrong code."""
    given = code.replace(" ", "").encode(errors="replace")
    for step in (int(now) // STEP_SECONDS + offset for offset in (0, -1, 1)):
        if hmac.compare_digest(code_of(seed, step * STEP_SECONDS).encode(), given):
            return step
    return None


def _seal(tenant: Tenant, account_id: str, facts: Mapping[str, Any]) -> bytes:
    return tenant.cipher.seal(json.dumps(facts).encode(), FACTS_PURPOSE, account_id)


def _open(tenant: Tenant, row: AccountRow) -> dict[str, Any]:
    return dict(json.loads(tenant.cipher.open(row.sealed_facts, FACTS_PURPOSE, row.id)))


def _account(row: AccountRow, facts: Mapping[str, Any]) -> Account:
    return Account(row.id, row.tenant_id, facts["name"], Role(facts["role"]), disabled=facts["disabled"])
