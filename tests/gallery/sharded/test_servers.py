"""Two servers that share galleries: one PostgreSQL, and a Ray cluster of two nodes with two parts of two replicas."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from clusters import ALONE, SharedServers, shared_servers
from faults.ledger import ROOT, picture
from likeness.access.scopes import API_SCOPES
from likeness.cli import app
from likeness.deployment import open_deployment
from postgres import new_database
from servers import wait_until

pytestmark = [ALONE, pytest.mark.long, pytest.mark.timeout(600)]
_people = count(1)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres_server_url: str) -> Iterator[SharedServers]:
    with shared_servers(tmp_path_factory.mktemp("shared"), new_database(postgres_server_url)) as running:
        yield running


@pytest.fixture
def callers(both: SharedServers) -> Iterator[list[httpx.Client]]:
    with both.servers[0].client() as first, both.servers[1].client() as second:
        yield [first, second]


def post(http: httpx.Client, path: str, person: int, variation: int = 0, **fields: Any) -> dict[str, Any]:
    headers = fields.pop("headers", {})
    reply = http.post(f"{ROOT}/{path}", json={"idPhoto": picture(person, variation), **fields}, headers=headers)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_what_one_server_answers_the_other_finds_at_once(callers: list[httpx.Client]) -> None:
    first, second = callers
    for _ in range(20):
        person = next(_people)
        entry = post(first, "insert", person)["oneToNVerificationId"]
        found = post(second, "search", person, 1)
        assert (found["oneToNVerificationId"], found["certified"]) == (entry, True)
        assert second.delete(f"{ROOT}/{entry}").status_code == 204
        assert post(first, "search", person)["oneToNVerificationId"] is None
        first, second = second, first


def test_one_face_at_both_servers_makes_one_entry(callers: list[httpx.Client]) -> None:
    people = [next(_people) for _ in range(10)]

    def send(call: tuple[int, int]) -> tuple[int, str]:
        person, variation = call
        reply = post(callers[variation % 2], "search", person, variation, insert=True)
        return person, str(reply["oneToNVerificationId"])

    calls = [(person, variation) for person in people for variation in range(8)]
    random.Random(1).shuffle(calls)
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(send, calls))
    assert sorted(person for person, _ in made) == people


def test_a_reference_and_an_idempotency_key_count_at_both(callers: list[httpx.Client]) -> None:
    first, second = callers
    person = next(_people)
    entry = post(first, "insert", person, externalId="one", headers={"Idempotency-Key": "key"})
    assert post(second, "insert", person, externalId="one", headers={"Idempotency-Key": "key"}) == entry
    taken = second.post(f"{ROOT}/insert", json={"idPhoto": picture(next(_people)), "externalId": "one"})
    assert taken.status_code == 409


def test_first_entries_of_new_tenants_at_once(both: SharedServers) -> None:
    deployment = open_deployment(both.servers[0].settings)
    credentials = both.servers[0].credentials
    try:
        for number in range(5):
            tenant = deployment.tenants.create(f"new {number}")
            own = deployment.clients.create(tenant.id, "test", API_SCOPES)
            for server in both.servers:
                server.credentials = own
            person = next(_people)
            with both.servers[0].client() as first, both.servers[1].client() as second, ThreadPoolExecutor(8) as pool:
                replies = [
                    pool.submit(post, (first, second)[n % 2], "search", person, n, insert=True) for n in range(8)
                ]
                made = [each.result()["oneToNVerificationId"] for each in replies]
                assert len(set(made)) == 1
                assert post(first, "search", next(_people))["gallerySize"] == 1
    finally:
        for server in both.servers:
            server.credentials = credentials
        deployment.close()


def test_the_shards_are_listed_and_those_of_another_layout_end(both: SharedServers) -> None:
    def command(*arguments: str, **settings: str) -> str:
        environment = both.servers[0].environment | {"COLUMNS": "200"} | settings
        ended = CliRunner(env=environment).invoke(app, ["shards", *arguments], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.output

    assert command("list").count("loaded") == 4
    assert "unused" not in command("list")
    assert command("list", LIKENESS_GALLERY_PARTS="3").count("unused") == 4
    assert command("remove") == "0 shards and 0 photo actors ended\n"


def test_a_gallery_moves_to_another_pack_while_both_answer(both: SharedServers, callers: list[httpx.Client]) -> None:
    people = {next(_people): "" for _ in range(12)}
    for person in people:
        people[person] = post(callers[person % 2], "insert", person)["oneToNVerificationId"]

    def command(*arguments: str) -> None:
        environment = both.servers[0].environment | {"COLUMNS": "200"}
        ended = CliRunner(env=environment).invoke(app, ["gallery", *arguments], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output

    def models() -> set[str]:
        found = [post(http, "search", person) for person in people for http in callers]
        assert [each["oneToNVerificationId"] for each in found] == [people[p] for p in people for _ in callers]
        return {each["model"] for each in found}

    assert models() == {"fake@1"}
    command("reindex", "--pack", "fake-2")
    assert models() == {"fake@1"}
    command("cutover")
    assert models() == {"fake-2@1"}
    person = next(_people)
    people[person] = post(callers[0], "search", person, insert=True)["oneToNVerificationId"]
    assert post(callers[1], "search", person)["oneToNVerificationId"] == people[person]
    command("rollback")
    assert models() == {"fake@1"}
    command("cutover")
    command("finish", "--orphans", "keep")
    wait_until(lambda: models() == {"fake-2@1"})
