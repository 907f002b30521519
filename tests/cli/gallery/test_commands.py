"""``likeness gallery ...`` beside a running server, and without one."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.access.clients import ClientCredentials
from likeness.cli import app
from likeness.engine.fake import fake_photo
from likeness.errors import Conflict, InvalidInput, NotFound, SetupError
from processes import ServerProcess, server_process
from servers import b64

ROOT = "/api/v1/face/one-to-n"
KEYS = ("client_id", "client_secret")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    with server_process(tmp_path / "data", pack="fake", workers=1, log_level="error") as running:
        for name, value in running.environment.items():
            if name.startswith("LIKENESS_"):
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "200")
        yield running


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, ["gallery", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return result.stdout


def enrol(server: ServerProcess, people: int) -> list[str]:
    with server.client() as http:
        photos = [b64(fake_photo(person, size=(160, 120))) for person in range(people)]
        replies = [http.post(f"{ROOT}/insert", json={"idPhoto": photo}) for photo in photos]
        entries = [str(reply.raise_for_status().json()["oneToNVerificationId"]) for reply in replies]
        http.delete(f"{ROOT}/search/{entries[0]}").raise_for_status()
    return entries


def test_the_commands_lead_from_one_pack_to_another(server: ServerProcess) -> None:
    with pytest.raises(NotFound, match="No gallery is left"):
        run("reindex", "--pack", "fake-2")
    entries = enrol(server, 3)
    with pytest.raises(NotFound, match="No gallery is being moved"):
        run("cutover")
    output = run("reindex", "--pack", "fake-2")
    assert "2 of 2 worked on" in output
    assert "0 answers would change" in output
    assert "1 entries (PHOTO_DELETED 1)" in output
    with pytest.raises(InvalidInput, match="`likeness gallery cutover`"):
        run("finish", "--orphans", "keep")
    assert "fake-2@1" in run("cutover").splitlines()[1]
    with pytest.raises(NotFound, match="No gallery is left"):
        run("reindex", "--pack", "fake-2")
    with pytest.raises(Conflict, match="being moved"):
        run("reindex", "--pack", "fake")
    with pytest.raises(InvalidInput, match="this step already"):
        run("cutover")
    assert "fake@1" in run("rollback").splitlines()[1]
    run("cutover")
    listed = run("status", "--ids").splitlines()
    assert [line.split(",")[1:] for line in listed[1:]] == [[entries[0], "", "PHOTO_DELETED"]]
    assert "fake-2@1" in run("finish", "--orphans", "drop")
    with server.client() as http:
        assert http.get(f"{ROOT}/{entries[0]}").status_code == 404
        assert http.get(f"{ROOT}/{entries[1]}").status_code == 200


def test_a_command_for_all_passes_over_those_who_are_there(server: ServerProcess) -> None:
    enrol(server, 2)
    output = CliRunner().invoke(app, ["tenant", "create", "second"], catch_exceptions=False).stdout.split()
    second = replace(server, credentials=ClientCredentials(*(output[output.index(name) + 1] for name in KEYS)))
    enrol(second, 2)
    assert "ready" in run("reindex", "--pack", "fake-2", "--tenant", "second")
    assert "cut over" in run("cutover", "--tenant", "second")
    said = run("reindex", "--pack", "fake-2")
    assert said.count("ready") == 1
    assert "second" not in said
    run("cutover")
    assert run("status").count("cut over") == 2
    with pytest.raises(InvalidInput, match="is cut over"):
        run("cutover", "--tenant", "second")
    run("finish", "--orphans", "keep")


def test_a_server_that_ends_before_its_work_is_reported(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(server, 2)

    def kill_and_sleep(seconds: float) -> None:
        """Stand in for the first pause of the command that waits."""
        waiting.undo()
        server.kill()
        time.sleep(seconds)

    with server.paused(), pytest.MonkeyPatch.context() as waiting:
        waiting.setattr(time, "sleep", kill_and_sleep)
        done = CliRunner().invoke(app, ["gallery", "reindex", "--pack", "fake-2"], catch_exceptions=False)
    assert done.exit_code == 1
    assert "server ended before" in done.output
    server.start()
    assert "ready" in run("reindex", "--pack", "fake-2")


def test_without_a_server_the_wish_waits(server: ServerProcess) -> None:
    enrol(server, 2)
    server.stop()
    assert "No server runs" in run("reindex", "--pack", "fake-2")
    assert "waiting" in run("status")
    server.start()
    assert "ready" in run("reindex", "--pack", "fake-2")
    assert "fake@1" in run("abandon")
    assert "No gallery is being moved" in run("status")  # and it exits with status 0
    assert run("status", "--ids").splitlines() == ["tenant,oneToNVerificationId,externalId,reason"]


def test_what_cannot_be_done_is_reported(server: ServerProcess) -> None:
    enrol(server, 1)
    assert "no-such-pack" in run("reindex", "--pack", "no-such-pack", exit_code=1)
    assert "ready" in run("reindex", "--pack", "fake-2")
    run("abandon")
    with pytest.raises(NotFound, match="No gallery is left"):
        run("reindex", "--pack", "fake")


def test_a_second_server_is_refused(server: ServerProcess) -> None:
    with pytest.raises(SetupError, match="another process"):
        CliRunner().invoke(app, ["serve"], catch_exceptions=False)


@pytest.mark.parametrize(
    "command", ["import", "export", "dedupe", "reindex", "status", "cutover", "rollback", "finish", "abandon"]
)
def test_help_teaches(command: str) -> None:
    assert len(run(command, "--help").splitlines()) > 8
