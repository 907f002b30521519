"""Accounts and visits: who gets in, for how long, and who does not."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import Connection, insert, select, update

from likeness.console.accounts.roles import Role
from likeness.console.accounts.service import (
    FAILURE_SECONDS,
    FAILURES,
    IDLE_SECONDS,
    NOTED_SECONDS,
    STEP_SECONDS,
    VISIT_SECONDS,
    Account,
    Accounts,
    NewSecrets,
    Visits,
    WrongSignIn,
    code_of,
)
from likeness.console.composition import accounts_of_deployment
from likeness.deployment import Deployment, initialise, open_deployment
from likeness.errors import Conflict, InvalidInput, NotFound, SetupError, TooManyRequests
from likeness.kit.clock import MovableClock
from likeness.store.tables import accounts as table
from likeness.store.tables import audit_records
from likeness.store.tables import console_visits as visits_table
from likeness.tenants.service import Tenant
from servers import test_settings

HERE = "192.0.2.1"


@dataclass
class House:
    deployment: Deployment
    clock: MovableClock
    accounts: Accounts
    visits: Visits
    tenant: Tenant

    def sign_in(self, made: NewSecrets, *, password: str | None = None, code: str | None = None, at: str = HERE) -> str:
        given = made.password if password is None else password
        right = code_of(seed(made), self.clock.now())
        name = made.account.name
        token, _ = asyncio.run(self.visits.begin(name, given, right if code is None else code, address=at))
        return token

    def visitor(self, token: str) -> Account | None:
        return asyncio.run(self.visits.find(token))


def seed(made: NewSecrets) -> str:
    return made.totp_address.split("secret=")[1].split("&")[0]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings, clock = test_settings(tmp_path), MovableClock()
    initialise(settings)
    with closing(open_deployment(settings, clock)) as deployment:
        accounts = accounts_of_deployment(deployment)
        visits = Visits(accounts, deployment.database, deployment.tenants, clock)
        yield House(deployment, clock, accounts, visits, deployment.tenants.create("acme"))
        visits.close()


@pytest.fixture
def ana(house: House) -> NewSecrets:
    return house.accounts.create(house.tenant, "Ana@acme.example", Role.REVIEWER)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, for SHA-1: the last six of its eight digits."""
    assert code_of("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", seconds) == code


def test_a_person_signs_in_until_the_visit_ends(house: House, ana: NewSecrets) -> None:
    token, ends = house.sign_in(ana), house.clock.now() + VISIT_SECONDS
    while house.clock.now() < ends - 1:
        assert house.visitor(token) == ana.account
        house.clock.move(IDLE_SECONDS - 1)
    assert house.visitor(token) is None
    other = house.sign_in(ana)
    asyncio.run(house.visits.end(other))
    assert house.visitor(other) is None
    assert house.visitor("invented") is None


def test_a_visit_that_nobody_uses_ends(house: House, ana: NewSecrets) -> None:
    token = house.sign_in(ana)
    house.clock.move(IDLE_SECONDS - 2 * NOTED_SECONDS)
    assert house.visitor(token)
    house.clock.move(IDLE_SECONDS - 1)
    assert house.visitor(token)
    house.clock.move(IDLE_SECONDS + 1)
    assert house.visitor(token) is None


def test_a_person_may_have_several_visits(house: House, ana: NewSecrets) -> None:
    first = house.sign_in(ana)
    house.clock.move(STEP_SECONDS)
    second = house.sign_in(ana)
    assert house.visitor(first) == house.visitor(second) == ana.account


def test_a_password_is_the_servers_and_long(house: House, ana: NewSecrets) -> None:
    token = house.sign_in(ana)
    bob = house.accounts.create(house.tenant, "bob@acme.example", Role.VIEWER)
    assert re.fullmatch(r"[a-z2-7]{24}", ana.password), "120 bits in base32"
    assert re.fullmatch(r"[A-Z2-7]{32}", seed(ana)), "160 bits in base32"
    assert len(token.rpartition(".")[2]) == 43, "256 bits in base64url"
    assert len({ana.password, bob.password}) == len({seed(ana), seed(bob)}) == 2
    house.clock.move(10 * 365 * 24 * 3600)
    assert house.sign_in(ana), "a password has no end"


def test_a_password_counts_to_the_letter(house: House, ana: NewSecrets) -> None:
    for other in (ana.password.upper(), ana.password[:-1], f"{ana.password} ", f"{ana.password}a"):
        with pytest.raises(WrongSignIn):
            house.sign_in(ana, password=other)
    assert house.sign_in(ana)


def test_the_name_may_have_other_letter_cases_and_the_code_a_blank(house: House, ana: NewSecrets) -> None:
    code = code_of(seed(ana), house.clock.now())
    given = asyncio.run(house.visits.begin("ana@ACME.example", ana.password, f"{code[:3]} {code[3:]}", address=HERE))
    assert given[1] == ana.account


@pytest.mark.parametrize(("password", "code"), [("wrong", None), (None, "000000"), (None, ""), ("", ""), (None, "é")])
def test_a_wrong_secret_is_refused(house: House, ana: NewSecrets, password: str | None, code: str | None) -> None:
    with pytest.raises(WrongSignIn):
        house.sign_in(ana, password=password, code=code)


def test_a_code_works_once_and_for_a_clock_half_a_minute_off(house: House, ana: NewSecrets) -> None:
    code = code_of(seed(ana), house.clock.now())
    house.sign_in(ana, code=code)
    with pytest.raises(WrongSignIn):
        house.sign_in(ana, code=code)
    late = code_of(seed(ana), house.clock.now() + STEP_SECONDS)
    house.sign_in(ana, code=late)
    house.clock.move(3 * STEP_SECONDS)
    with pytest.raises(WrongSignIn):
        house.sign_in(ana, code=code_of(seed(ana), house.clock.now() - 2 * STEP_SECONDS))


def test_guessing_from_one_address_is_refused_for_a_minute_and_locks_nobody_else_out(
    house: House, ana: NewSecrets
) -> None:
    for _ in range(FAILURES):
        with pytest.raises(WrongSignIn):
            house.sign_in(ana, password="guess")
    with pytest.raises(TooManyRequests):
        house.sign_in(ana)
    assert house.sign_in(ana, at="192.0.2.2")
    house.clock.move(FAILURE_SECONDS)
    assert house.sign_in(ana)


def test_an_unknown_name_is_checked_as_a_known_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    whole = house.visits._is_right

    def noted(stored: str, password: str) -> bool:
        checked.append(stored)
        return whole(stored, password)

    monkeypatch.setattr(house.visits, "_is_right", noted)
    with pytest.raises(WrongSignIn):
        asyncio.run(house.visits.begin("nobody", "x", "123456", address=HERE))
    assert checked[0].startswith("$argon2id$")
    cost = extract_parameters(checked[0])
    assert cost == extract_parameters(PasswordHasher().hash("x"))


def test_a_change_of_an_account_ends_its_visits(house: House, ana: NewSecrets) -> None:
    token = house.sign_in(ana)
    house.accounts.change_role(house.tenant, "ana@acme.example", Role.VIEWER)
    assert house.visitor(token) is None
    house.clock.move(STEP_SECONDS)
    token = house.sign_in(ana)
    found = house.visitor(token)
    assert found is not None
    assert found.role is Role.VIEWER
    house.accounts.disable(house.tenant, "ana@acme.example")
    assert house.visitor(token) is None
    house.clock.move(STEP_SECONDS)
    with pytest.raises(WrongSignIn):
        house.sign_in(ana)
    new = house.accounts.renew(house.tenant, "ana@acme.example")
    with pytest.raises(WrongSignIn):
        house.sign_in(ana)
    assert house.visitor(house.sign_in(new))


def test_names_are_unique_and_valid_and_of_their_tenant(house: House, ana: NewSecrets) -> None:
    other = house.deployment.tenants.create("other")
    with pytest.raises(Conflict):
        house.accounts.create(other, "ANA@acme.example", Role.VIEWER)
    with pytest.raises(InvalidInput):
        house.accounts.create(other, " ", Role.VIEWER)
    with pytest.raises(NotFound):
        house.accounts.disable(other, "ana@acme.example")
    assert house.accounts.of_tenant(other) == []
    assert house.accounts.of_tenant(house.tenant) == [ana.account]


def test_the_database_has_neither_the_name_nor_a_secret(house: House, ana: NewSecrets) -> None:
    row = house.deployment.database.read_now(lambda c: c.execute(select(table)).one())
    stored = json.dumps([str(value) for value in row]) + bytes(row.sealed_facts).decode("latin-1")
    for secret in ("acme.example", ana.password, seed(ana)):
        assert secret.lower() not in stored.lower()


def test_who_writes_to_the_database_alone_gets_in_nowhere(house: House, ana: NewSecrets) -> None:
    token = house.sign_in(ana)
    boss = house.accounts.create(house.tenant, "boss", Role.ADMINISTRATOR)

    def forge(connection: Connection) -> None:
        mine = visits_table.c.account_id == ana.account.id
        connection.execute(update(visits_table).where(mine).values(account_id=boss.account.id, expires_at=1e12))
        plain = hashlib.sha256(b"my own token").hexdigest()
        row = {"digest": plain, "tenant_id": house.tenant.id, "account_id": boss.account.id, "expires_at": 1e12}
        connection.execute(insert(visits_table).values(row))

    house.deployment.database.write_now(forge)
    assert house.visitor(token) is None
    assert house.visitor("my own token") is None
    rows = select(table.c.sealed_facts).where(table.c.id == boss.account.id)
    facts = house.deployment.database.read_now(lambda c: c.execute(rows).scalar_one())
    mine = update(table).where(table.c.id == ana.account.id)
    house.deployment.database.write_now(lambda c: c.execute(mine.values(sealed_facts=facts)).rowcount)
    house.clock.move(STEP_SECONDS)
    with pytest.raises(SetupError):
        house.sign_in(ana)


def test_an_erased_tenants_accounts_go(house: House, ana: NewSecrets) -> None:
    token = house.sign_in(ana)
    house.deployment.tenants.erase(house.tenant.id)
    assert house.visitor(token) is None
    assert house.deployment.database.read_now(lambda c: c.execute(select(table)).all()) == []


def test_each_change_has_a_record(house: House, ana: NewSecrets) -> None:
    house.accounts.disable(house.tenant, ana.account.name)
    wanted = select(audit_records.c.action).where(audit_records.c.object == ana.account.id)
    actions = house.deployment.database.read_now(lambda c: c.execute(wanted).scalars().all())
    assert actions == ["account creation", "account change"]
