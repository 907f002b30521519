"""All that is held on one person is in the export, and nothing about anybody else."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from likeness.cli import app
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.errors import InvalidInput, NotFound
from likeness.webhooks.service import Webhooks
from servers import Server, calling
from session_endings import ALICE, OneToN, end, opened, success, verified

OTHER = fake_photo(2)


@pytest.fixture
def commands(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(own_server.deployment.settings.data_dir))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    return CliRunner()


def run(commands: CliRunner, *arguments: str) -> str:
    done = commands.invoke(app, ["tenant", "export-person", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("by", ["id", "externalId"])
def test_the_export_has_everything_about_the_person(
    own_server: Server, commands: CliRunner, tmp_path: Path, by: str
) -> None:
    with calling(own_server) as api:
        headers = {"Idempotency-Key": "once"}
        grounds = {"consentReference": "consent-7", "purpose": "opening an account"}
        grounds["expiresAt"] = "2500-01-01T00:00:00.000+00:00"
        reply = api.insert(ALICE, externalId="alice", metadata={"city": "Köln"}, headers=headers, **grounds).json()
        entry = reply["oneToNVerificationId"]
        other = api.insert(OTHER, externalId="bob", metadata={"city": "Bonn"}).json()["oneToNVerificationId"]
        webhooks = Webhooks(own_server.deployment.database, own_server.deployment.clock, private_addresses=False)
        webhooks.put(api.tenant, "https://receiver.example/x", {})
        mine, theirs = (
            end(own_server, opened(api, oneToN="search"), success(one_to_n=OneToN(each, found=True)))
            for each in (entry, other)
        )
        assert mine
        assert theirs
        api.call("PUT", f"/api/v1/admin/entries/{entry}/legal-hold", {"reference": "case-17"})
        folder = tmp_path / "out" / "person"
        assert entry in run(commands, api.tenant.id, entry if by == "id" else "alice", str(folder))
        found = json.loads((folder / "person.json").read_text())
        assert (found["oneToNVerificationId"], found["externalId"]) == (entry, "alice")
        assert found["metadata"] == {"city": "Köln"}
        assert {name: found[name] for name in grounds} == grounds
        assert found["legalHold"] == "case-17"
        (template,) = found["templates"]
        numbers = np.frombuffer(base64.b64decode(template["float32"]), "<f4")
        engine = FakeEngine()
        expected = engine.embed(engine.decode(ALICE), engine.detect(engine.decode(ALICE))[:1])[0]
        assert template["dimension"] == len(numbers)
        assert np.dot(numbers, expected) > 0.99
        assert found["repeatableAnswers"] == [{"id": entry}]
        assert [claims["jti"] for claims in found["results"]] == [verified(api, mine)["jti"]]
        assert [each["claims"]["jti"] for each in found["webhookDeliveries"]] == [verified(api, mine)["jti"]]
        assert "enrolment" in [record["action"] for record in found["auditRecords"]]
        text = json.dumps(found, ensure_ascii=False)
        assert not [word for word in (other, "bob", "Bonn") if word in text]
        assert (folder / "photo.jpg").read_bytes() == ALICE or (folder / "photo.png").read_bytes() == ALICE
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        with pytest.raises(InvalidInput, match="exists already"):
            run(commands, api.tenant.id, entry, str(folder))


def test_an_entry_of_another_tenant_is_not_exported(own_server: Server, commands: CliRunner, tmp_path: Path) -> None:
    with calling(own_server) as api, calling(own_server) as stranger:
        entry = api.insert(ALICE, externalId="alice").json()["oneToNVerificationId"]
        for name in (entry, "alice", "nobody"):
            with pytest.raises(NotFound, match="no entry"):
                run(commands, stranger.tenant.id, name, str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()


def test_the_export_is_in_the_audit_trail(own_server: Server, commands: CliRunner, tmp_path: Path) -> None:
    with calling(own_server) as api:
        entry = api.insert(ALICE).json()["oneToNVerificationId"]
        run(commands, api.tenant.id, entry, str(tmp_path / "first"))
        run(commands, api.tenant.id, entry, str(tmp_path / "second"))
        records = json.loads((tmp_path / "second" / "person.json").read_text())["auditRecords"]
        assert [(record["who"], record["action"]) for record in records][-1] == ("operator", "export")
