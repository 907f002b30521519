"""Load on servers that share galleries. It goes on while a part of the deployment is killed, and judges each answer."""

import contextlib
import itertools
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from conftest import REPOSITORY
from faults.ledger import ROOT, Fate, Ledger, picture
from likeness.access.scopes import API_SCOPES
from likeness.deployment import open_deployment
from processes import ServerProcess

T = TypeVar("T")
CALLERS = 3
"""Callers of each tenant."""
ANSWER_SECONDS = 30.0
"""Every call is answered within this time, whatever happens."""
SETTLED_SECONDS = 120.0
PAUSE_SECONDS = 0.1
IN_A_ROW, STEADY_SECONDS = 20, 3.0
"""A server is back when it has answered so many calls of each tenant in a row, for so long."""
COMMIT_LOST = "lost during the commit"
_calls = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())["paths"]


class Refused(Exception):
    """The server cannot answer now. It changed nothing."""


class Unanswered(Exception):
    """The call may have changed something: its server ended, or its commit was lost."""


@dataclass(frozen=True)
class Call:
    """When a call to a server began and ended, and what became of it."""

    server: int
    begun: float
    ended: float
    served: bool
    lost: bool = False
    """Whether the connection ended without an answer."""


def demand_documented(reply: httpx.Response) -> None:
    """Hold a refusal against the description of its call."""
    method, path = reply.request.method.lower(), reply.request.url.path
    (operation,) = (
        operations[method]
        for template, operations in _calls.items()
        if method in operations and re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path)
    )
    assert str(reply.status_code) in operation["responses"], f"{method} {path}: {reply.text}"
    if reply.status_code in {429, 503}:
        assert int(reply.headers["retry-after"]) >= 1
        assert reply.json()["error"] in {"TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE"}


@dataclass
class Tenancy:
    """A tenant with its callers at every server, its ledger, and a record of its calls."""

    https: Sequence[httpx.Client]
    ledger: Ledger = field(default_factory=Ledger)
    calls: list[Call] = field(default_factory=list)

    def call(self, server: int, method: str, path: str, **options: Any) -> httpx.Response:
        """Make one call, whose answer must come in time and be a documented one. Raises Refused, Unanswered."""
        begun = time.monotonic()
        try:
            reply = self.https[server].request(method, f"{ROOT}{path}", **options)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            self.calls.append(Call(server, begun, time.monotonic(), served=False, lost=True))
            raise Unanswered from error
        demand_documented(reply)
        served = reply.status_code not in {429, 503}
        self.calls.append(Call(server, begun, time.monotonic(), served))
        if not served:
            raise Unanswered if COMMIT_LOST in reply.text else Refused(reply.text)
        return reply

    def settle(
        self, first: int, attempt: Callable[[int], httpx.Response], *, gives_up: bool = False
    ) -> tuple[httpx.Response | None, bool]:
        """Repeat a call, at one server after the other, until it is answered.

        Give the answer, and whether an earlier try may have made the change. With ``gives_up``, give None once a
        server says that it changed nothing.
        """
        doubtful = False
        end = time.monotonic() + SETTLED_SECONDS
        for number in itertools.count(first):
            try:
                return attempt(number % len(self.https)), doubtful
            except Refused:
                if gives_up and not doubtful:
                    return None, False
            except Unanswered:
                doubtful = True
            assert time.monotonic() < end, "a call is never answered"
            time.sleep(PAUSE_SECONDS)
        raise AssertionError

    def search(self, server: int, person: int, variation: int = 0, **fields: object) -> dict[str, Any]:
        body = {"idPhoto": picture(person, variation), **fields}
        found: dict[str, Any] = self.call(server, "POST", "/search", json=body).json()
        assert found["certified"], found
        return found


@dataclass
class Load:
    """Callers of some tenants who insert, search, delete photos and erase at all servers until they are stopped."""

    tenancies: Sequence[Tenancy]
    seed: int
    _over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Load the servers within the block. At its end, no call is under way or in doubt."""
        numbered = [(tenancy, number) for tenancy in self.tenancies for number in range(CALLERS)]
        with ThreadPoolExecutor(len(numbered)) as pool:
            done = [pool.submit(self._go_on, tenancy, number) for tenancy, number in numbered]
            try:
                yield
            finally:
                self._over.set()
            for each in done:
                each.result()

    def _go_on(self, tenancy: Tenancy, number: int) -> None:
        caller = _Caller(tenancy, random.Random(f"{self.seed} {number} {id(tenancy)}"))
        try:
            while not self._over.is_set():
                try:
                    caller.step()
                except (Refused, Unanswered):
                    time.sleep(PAUSE_SECONDS)
        finally:
            self._over.set()  # one wrong answer ends the load of all

    def await_calls(self, count: int) -> None:
        """Wait until the servers have answered some more calls."""
        wanted = count + sum(len(each.calls) for each in self.tenancies)
        while sum(len(each.calls) for each in self.tenancies) < wanted:
            assert not self._over.wait(0.003), "a caller failed"

    def await_service(self, since: float) -> float:
        """Wait until every server serves every tenant again. Give the seconds from ``since`` until then."""
        servers = range(len(self.tenancies[0].https))
        end = time.monotonic() + SETTLED_SECONDS
        while None in (found := [_back(each.calls, one, since) for each in self.tenancies for one in servers]):
            assert time.monotonic() < end, "a server does not come back"
            assert not self._over.wait(0.05), "a caller failed"
        return max(each for each in found if each is not None)

    def lost(self) -> int:
        """Count the calls whose connection ended without an answer."""
        return sum(call.lost for each in self.tenancies for call in each.calls)


def _back(calls: list[Call], server: int, since: float) -> float | None:
    """Give the seconds from ``since`` until a server serves steadily again, or None while it does not."""
    later = [call for call in list(calls) if call.server == server and call.ended > since]
    failed = max((call.ended for call in later if not call.served), default=since)
    after = [call.ended for call in later if call.begun > failed]
    steady = len(after) >= IN_A_ROW and max(after) - failed >= STEADY_SECONDS
    return min(after) - since if steady else None


@dataclass
class _Caller:
    tenancy: Tenancy
    rng: random.Random
    mine: list[str] = field(default_factory=list)
    """Entries that this caller alone changes."""

    def step(self) -> None:
        """Make one call or some, and judge the answers. Raises Refused, Unanswered for calls that change nothing."""
        kind, server = self.rng.random(), self.rng.randrange(len(self.tenancy.https))
        if kind < 0.3 or not self.mine:
            self._enrol(server)
        elif kind < 0.7:
            self._search(server)
        elif kind < 0.76:
            person = next(self.tenancy.ledger.people)
            assert self.tenancy.search(server, person)["oneToNVerificationId"] is None, "a stranger is found"
        elif kind < 0.8:
            unknown = self.tenancy.call(server, "GET", "/00000000-0000-4000-8000-000000000000")
            assert unknown.status_code == 404
        else:
            entry = self.mine.pop(self.rng.randrange(len(self.mine)))
            self._erase(server, entry) if kind < 0.9 else self._delete_image(server, entry)

    def _enrol(self, server: int) -> None:
        person = next(self.tenancy.ledger.people)
        at_once = self.rng.random() < 0.5
        body: dict[str, Any] = {"idPhoto": picture(person)} | (
            {"insert": True} if at_once else {"externalId": f"{person}"}
        )
        headers = {} if at_once else {"Idempotency-Key": f"person {person}"}
        path = "/search" if at_once else "/insert"
        reply, doubtful = self.tenancy.settle(
            server,
            lambda each: self.tenancy.call(each, "POST", path, json=body, headers=headers),
            gives_up=self.rng.random() < 0.5,
        )
        if reply is None:
            return
        assert reply.status_code == 200, reply.text
        made = reply.json()
        assert doubtful or not made.get("oneToNVerificationMatch"), "a stranger is found"
        entry = made["oneToNVerificationId"]
        assert entry not in self.tenancy.ledger.entries, "two people have one entry"
        self.tenancy.ledger.entries[entry] = (person, Fate.HERE)
        self.mine.append(entry)
        assert self.tenancy.search(1 - server, person)["oneToNVerificationId"] == entry, "an entry is not found"
        if not at_once:
            other = {**body, "idPhoto": picture(next(self.tenancy.ledger.people))}
            taken = self.tenancy.call(server, "POST", path, json=other, headers=headers)
            assert (taken.status_code, taken.json()["error"]) == (409, "CONFLICT")

    def _search(self, server: int) -> None:
        entry = self.rng.choice(self.mine)
        person, _ = self.tenancy.ledger.entries[entry]
        found = self.tenancy.search(server, person, self.rng.randrange(3))
        assert found["oneToNVerificationId"] == entry, "an entry is not found"

    def _erase(self, server: int, entry: str) -> None:
        person = self._change(server, entry, f"/{entry}", Fate.ERASED)
        if person is not None:
            found = self.tenancy.search(1 - server, person)["oneToNVerificationId"]
            assert found is None, "an erased entry is found"

    def _delete_image(self, server: int, entry: str) -> None:
        self._change(server, entry, f"/search/{entry}", Fate.WITHOUT_IMAGE)

    def _change(self, server: int, entry: str, path: str, fate: Fate) -> int | None:
        """Delete something until that is answered. Give the person, or None if the server changed nothing."""
        gives_up = self.rng.random() < 0.5
        reply, doubtful = self.tenancy.settle(
            server, lambda each: self.tenancy.call(each, "DELETE", path), gives_up=gives_up
        )
        if reply is None:
            return None
        assert reply.status_code == 204 or (doubtful and fate is Fate.ERASED and reply.status_code == 404), reply.text
        person, _ = self.tenancy.ledger.entries[entry]
        self.tenancy.ledger.entries[entry] = (person, fate)
        return person


def insert(tenancy: Tenancy, server: int) -> None:
    """Enrol a new person without a search, which the server must do."""
    person = next(tenancy.ledger.people)
    made = tenancy.call(server, "POST", "/insert", json={"idPhoto": picture(person)}).json()
    tenancy.ledger.entries[made["oneToNVerificationId"]] = (person, Fate.HERE)


def rush(tenancy: Tenancy, *, faces: int, at_once: int = 8) -> None:
    """Send new faces many times at once, to all servers, with ``insert: true``, until all is answered.

    Each must get one entry.
    """
    people = [next(tenancy.ledger.people) for _ in range(faces)]
    calls = [(person, variation) for person in people for variation in range(at_once)]
    random.Random(faces).shuffle(calls)

    def send(call: tuple[int, int]) -> tuple[int, str]:
        person, variation = call
        body = {"idPhoto": picture(person, variation), "insert": True}
        reply, _ = tenancy.settle(variation, lambda server: tenancy.call(server, "POST", "/search", json=body))
        assert reply.status_code == 200, reply.text
        return person, str(reply.json()["oneToNVerificationId"])

    with ThreadPoolExecutor(2 * at_once) as pool:
        made = set(pool.map(send, calls))
    assert sorted(person for person, _ in made) == people, "one face has several entries"
    tenancy.ledger.entries.update((entry, (person, Fate.HERE)) for person, entry in made)


@contextlib.contextmanager
def new_tenancy(servers: Sequence[ServerProcess], name: str) -> Iterator[Tenancy]:
    """Make a tenant with a client, and give its callers at the servers, which run."""
    with contextlib.closing(open_deployment(servers[0].settings)) as deployment:
        credentials = deployment.clients.create(deployment.tenants.create(name).id, "test", API_SCOPES)
    with contextlib.ExitStack() as stack:
        https = []
        for server in servers:
            server.credentials = credentials
            https.append(stack.enter_context(server.client(ANSWER_SECONDS)))
        yield Tenancy(https)
