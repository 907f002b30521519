"""The documentation agrees with the code."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from likeness.kit.admission import ROUNDS
from likeness.kit.fairness import MOST_OF_THE_REST
from likeness.server import protocol
from likeness.sessions.capture.messages import Cancel, Hello, Qr, Start, Take
from likeness.sessions.composition import ATTEMPTS_PER_WORKER
from likeness.sessions.schemas import SessionOptions
from likeness.settings import OF_COMMANDS, PREFIX, Settings
from likeness.web.form import MOST_PARTS
from likeness.web.http import LARGEST_BODIES_PER_WORKER
from likeness.web.json_object import SHORT_TEXTS_BYTES, STRUCTURE_BYTES

REPOSITORY = Path(__file__).resolve().parents[1]
API = (REPOSITORY / "docs" / "api.md").read_text()
SESSIONS = (REPOSITORY / "docs" / "sessions.md").read_text()
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
SECURITY = (REPOSITORY / "docs" / "security.md").read_text()
LIMITS = {
    "a request's headers": f"{protocol.HEADER_BYTES // 1024} KiB, {protocol.HEADERS} headers",
    "requests that wait on one connection": f"{protocol.PIPELINED}",
    "an upload after its refusal": f"{protocol.DRAIN_BYTES >> 20} MiB, {protocol.DRAIN_SECONDS:g} s",
    "a JSON body beside its photos": f"{STRUCTURE_BYTES // 1024} KiB of structure, {SHORT_TEXTS_BYTES // 1024} KiB of text",
    "a form": f"{MOST_PARTS} parts",
    "work before a request": f"`LIKENESS_QUEUE_SECONDS`, or {ROUNDS} photos for each worker if that is more",
    "attempts of face sessions": f"{ATTEMPTS_PER_WORKER} for each worker; a tenant has at most three times what is free",
}


def test_generated_parts_are_what_the_code_says() -> None:
    checked = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "write_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not checked.returncode, checked.stderr


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (OPERATIONS, "### `LIKENESS_TOKEN_FAILURES_PER_MINUTE`\nWrong secrets"),
        (OPERATIONS, "\n| `likeness gallery cutover` | Answer with the new pack"),
        (API, "### `CONFLICT`\n409. "),
        (API, "\n| `GET /api/v1/info/{session_id}` | "),
    ],
)
def test_each_part_holds_what_it_is_for(page: str, text: str) -> None:
    assert text in page


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_is_stated_as_it_is(limit: str) -> None:
    assert f"\n| {limit} | {LIMITS[limit]} | " in SECURITY


def test_shares_are_stated_as_they_are() -> None:
    assert (MOST_OF_THE_REST, LARGEST_BODIES_PER_WORKER) == (3, 2)


def test_every_setting_that_is_named_is_there() -> None:
    for text in (API, SESSIONS, OPERATIONS, SECURITY):
        settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
        assert set(re.findall(r"LIKENESS_[A-Z0-9_]+[A-Z0-9]", text)) - {"LIKENESS_TEST_DATA"} <= settings | OF_COMMANDS


def test_every_option_of_a_session_is_described() -> None:
    described = set(re.findall(r"\n\| `(\w+)` \| ", SESSIONS))
    assert described >= {field.alias for field in SessionOptions.model_fields.values()}


def test_every_message_of_the_capture_socket_is_described() -> None:
    sessions = REPOSITORY / "src" / "likeness" / "sessions"
    sources = "".join(path.read_text() for path in sessions.glob("capture/*.py"))
    sent = set(re.findall(r'\{\s*"type": "(\w+)"', sources))
    heard = {command.model_fields["type"].annotation.__args__[0] for command in (Hello, Start, Take, Qr, Cancel)}
    described = set(re.findall(r"`(\w+)`", "".join(re.findall(r"\n\| (`[^|]+) \|", SESSIONS))))
    assert {"ready", "end"} <= sent
    assert sent | heard <= described


def test_the_time_between_two_calls_is_the_described_one() -> None:
    assert f"kept for {Settings().keep_alive_seconds} seconds between two calls" in API
    assert Settings().keep_alive_seconds >= 75


PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "clients" / "python" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not heading or heading in headings_of(file), f"{target}#{heading}"


def headings_of(page: Path) -> set[str]:
    """Give the names that links have for a page's headings."""
    words = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in words}


@each_page
def test_every_call_that_is_named_is_there(page: Path) -> None:
    paths = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())["paths"]
    there = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, calls in paths.items() for method in calls}
    there |= {("GET", "/openapi.json"), ("GET", "/docs")}
    text = page.read_text()
    for method, path in re.findall(r"`(GET|POST|PUT|DELETE|PATCH) (/[^`?\s]*)", text):
        assert (method, re.sub(r"\{\w+\}", "{}", path)) in there, f"{method} {path}"


def test_every_page_is_in_the_menu_of_the_site() -> None:
    menu = tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]["nav"]
    listed = [page for section in menu for pages in section.values() for page in pages]
    assert {str(page.relative_to(REPOSITORY)) for page in PAGES} <= set(listed)
    assert [page for page in listed if not (REPOSITORY / page).exists()] == []


PLAIN = re.compile(r"\b(?:whoever|see to it that|nobody's|he|his|him|himself)\b", re.IGNORECASE)


def test_words_are_plain_and_speak_of_people_as_they() -> None:
    package = REPOSITORY / "src" / "likeness"
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md"), *package.rglob("*.py")]
    found = {str(page.relative_to(REPOSITORY)): PLAIN.findall(page.read_text()) for page in pages}
    assert {page: words for page, words in found.items() if words} == {}
