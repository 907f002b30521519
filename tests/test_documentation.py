"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest
import typer

from likeness.cli import app as command
from likeness.errors import ErrorCode
from likeness.kit.admission import ROUNDS
from likeness.kit.fairness import MOST_OF_THE_REST
from likeness.server import protocol
from likeness.sessions.capture.messages import Cancel, Hello, Qr, Start, Take
from likeness.sessions.composition import ATTEMPTS_PER_WORKER
from likeness.sessions.schemas import SessionOptions
from likeness.settings import Settings
from likeness.web.form import MOST_PARTS
from likeness.web.http import LARGEST_BODIES_PER_WORKER
from likeness.web.json_object import SHORT_TEXTS_BYTES, STRUCTURE_BYTES
from servers import Server

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
    "attempts of face sessions": f"{ATTEMPTS_PER_WORKER} for each worker; a tenant has at most three times what it leaves",
}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_its_heading(code: ErrorCode) -> None:
    assert f"\n### `{code}`\n" in API


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_its_heading(name: str) -> None:
    assert f"\n### `LIKENESS_{name.upper()}`\n" in OPERATIONS


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "workers"])
def test_every_default_is_the_described_one(name: str) -> None:
    default = Settings.model_fields[name].default
    written = "none" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    (section,) = re.findall(rf"\n### `LIKENESS_{name.upper()}`\n(.+)\n", OPERATIONS)
    assert section.endswith(f" Default: {written}.")


def test_no_setting_is_described_that_is_not_there() -> None:
    described = set(re.findall(r"\n### `LIKENESS_([A-Z_]+)`\n", OPERATIONS))
    assert described == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_is_told_as_it_is(limit: str) -> None:
    assert f"\n| {limit} | {LIMITS[limit]} | " in SECURITY


def test_shares_are_told_as_they_are() -> None:
    assert (MOST_OF_THE_REST, LARGEST_BODIES_PER_WORKER) == (3, 2)


def test_every_setting_that_is_named_is_there() -> None:
    for text in (API, SESSIONS, OPERATIONS, SECURITY):
        assert set(re.findall(r"LIKENESS_([A-Z_]+[A-Z])", text)) - {"TEST_DATA"} <= {
            name.upper() for name in Settings.model_fields
        }


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


def test_every_command_is_described() -> None:
    group = typer.main.get_command(command)
    for name in group.commands:  # type: ignore[attr-defined]
        assert f"`likeness {name}" in OPERATIONS


def test_the_table_of_commands_has_each_subcommand_and_no_other() -> None:
    told = set()
    for cell in re.findall(r"\n\| (`likeness [^|]+) \|", OPERATIONS):
        first, *others = re.findall(r"`([^`]+)`", cell)
        _, group, *sub = first.split()
        told |= {(group, name) for name in [*sub, *others]} or {(group, "")}
    root = typer.main.get_command(command)
    there = {
        (name, sub)
        for name, group in root.commands.items()  # type: ignore[attr-defined]
        for sub in getattr(group, "commands", {"": None})
    }
    assert told == there


def test_every_call_is_in_the_table_with_its_statuses(server: Server) -> None:
    listed = {
        (method, path): {status.strip() for status in statuses.split(",")}
        for method, path, statuses in re.findall(r"\| `([A-Z]+) (/[^`]+)` \|[^|]+\| ([0-9, ]+) \|", API)
    }
    description = server.app.openapi()
    calls = {
        (method.upper(), path): set(call["responses"]) - {"500"}
        for path, methods in description["paths"].items()
        for method, call in methods.items()
    }
    assert listed.keys() == calls.keys()
    for call, statuses in calls.items():
        assert statuses <= listed[call], call


def test_the_time_between_two_calls_is_the_described_one() -> None:
    assert f"kept for {Settings().keep_alive_seconds} seconds between two calls" in API
    assert Settings().keep_alive_seconds >= 75


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


PLAIN = re.compile(r"\b(?:whoever|see to it that|nobody's|he|his|him|himself)\b", re.IGNORECASE)


def test_words_are_plain_and_speak_of_people_as_they() -> None:
    package = REPOSITORY / "src" / "likeness"
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md"), *package.rglob("*.py")]
    found = {str(page.relative_to(REPOSITORY)): PLAIN.findall(page.read_text()) for page in pages}
    assert {page: words for page, words in found.items() if words} == {}
