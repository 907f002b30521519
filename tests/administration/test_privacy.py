"""The record of processing is filled from the configuration, and names what only the operator knows."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from likeness.administration.privacy import GalleryCounts, Processing, privacy_record
from likeness.cli import app
from likeness.engine.fake import fake_photo
from likeness.settings import Settings
from likeness.tenants.schemas import TenantSettings
from likeness.webhooks.service import Webhooks
from servers import Server, calling


def record(settings: Settings, rules: TenantSettings | None = None, tenant: str = "acme") -> str:
    counts = GalleryCounts(3, 1, 2, 1, [("opening | accounts", 2), (None, 1)])
    clients = [("till", ["KYC_FACE_MATCH"])]
    return privacy_record(
        Processing(tenant, settings, rules or TenantSettings(), counts, "fake@1", clients, "in.example", 1.7e9)
    )


def test_each_kind_of_data_has_its_place_and_its_end(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql+psycopg://user:secret@db.example/likeness",
        images_url="s3://faces/x",
        session_ttl_seconds=300,
        result_ttl_seconds=90,
        audit_image_ttl_seconds=1200,
        webhook_replay_hours=48,
        audit_days=0,
        egress="none",
    )
    text = record(settings, TenantSettings(entry_days=365))
    rows = {cells[1]: cells for cells in (re.split(r" *\| +| +\|$", line) for line in text.splitlines()) if cells[1:]}
    assert rows["template of the ID photo of a face session"][2:4] == [
        "database: postgresql at db.example",
        "5 minutes",
    ]
    assert rows["photo of an entry"][2] == "images: s3 at faces"
    assert rows["signed result of a face session"][3] == "90 seconds"
    assert rows["audit image of a face session"][3] == "20 minutes"
    assert rows["content of a webhook's delivery"][3] == "48 hours"
    assert rows["audit trail: who did what to which id, without names"][3] == "for ever"
    kept = rows["templates, reference and metadata of an entry"][3]
    assert kept.startswith(
        "365 days at most, or until erasure. 3 entries now, 2 of them without an end, 1 under a legal hold"
    )
    assert "The server connects to nothing else" in text
    assert "new entries after 365 days" in text
    assert "secret" not in text
    assert "user" not in rows["photo of an entry"][2] + rows["signed result of a face session"][2]


def test_what_is_risky_is_said(tmp_path: Path) -> None:
    text = record(Settings(data_dir=tmp_path))
    assert "It lies beside the data: keep it apart" in text
    assert "entries have no end: set entryDays" in text
    assert "1 of 3 entries have a reference to a consent" in text
    assert "1 entries name no purpose" in text
    assert "client till (KYC_FACE_MATCH)" in text
    assert "webhook at in.example" in text


def test_a_name_cannot_break_the_document(tmp_path: Path) -> None:
    text = record(Settings(data_dir=tmp_path), tenant="a | b <script> [FILL IN: x] `c`")
    assert text.startswith("# Processing of faces for a \\| b \\<script\\> \\[FILL IN: x\\] \\`c\\`\n")
    assert "opening \\| accounts (2 entries)" in text
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    assert set(widths) == {3, 4}


def test_the_blanks_are_counted(tmp_path: Path) -> None:
    text = record(Settings(data_dir=tmp_path), tenant="[FILL IN: x]")
    (stated,) = re.findall(r"(\d+) blanks", text)
    assert int(stated) == text.count("[FILL IN: ") - 2 > 20


@pytest.fixture
def commands(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(own_server.deployment.settings.data_dir))
    monkeypatch.setenv("LIKENESS_PACK", "fake")
    return CliRunner()


def test_the_command_writes_what_this_tenant_has(own_server: Server, commands: CliRunner, tmp_path: Path) -> None:
    with calling(own_server) as api, calling(own_server) as other:
        for person, purpose in enumerate(("access", "access", None)):
            api.insert(fake_photo(person), purpose=purpose, consentReference="consent-7", externalId=f"name {person}")
        other.insert(fake_photo(9), purpose="of another")
        webhooks = Webhooks(own_server.deployment.database, own_server.deployment.clock, private_addresses=False)
        webhooks.put(api.tenant, "https://receiver.example/secret-path", {})
        file = tmp_path / "record.md"
        run = commands.invoke(app, ["tenant", "privacy-record", api.tenant.id, "--output", str(file)])
        assert run.exit_code == 0, run.output
        text = file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
        assert "access (2 entries); 1 entries name no purpose" in text
        assert "3 of 3 entries have a reference" in text
        assert "receiver.example" in text
        for hidden in ("of another", "secret-path", "name 1", "consent-7", other.tenant.name):
            assert hidden not in text
        printed = commands.invoke(app, ["tenant", "privacy-record", api.tenant.id], catch_exceptions=False)
        assert printed.stdout.splitlines()[0] == text.splitlines()[0]
        again = commands.invoke(app, ["tenant", "privacy-record", api.tenant.id, "--output", str(file)])
        assert again.exit_code == 1
