"""Each provider wraps data keys, and opens only what it wrapped for the same purpose. A deployment runs on each."""

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from kit.key_providers.simulated_vault import TOKEN, SimulatedVault, simulated_vault
from kit.key_providers.soft_hsm import LABEL, PIN, soft_hsm
from kit.key_providers.soft_hsm import TOKEN as HSM_TOKEN
from likeness.cli import app
from likeness.deployment import initialise, is_initialised, key_provider, open_deployment
from likeness.errors import ServiceUnavailable, SetupError
from likeness.kit.envelope import new_data_key
from likeness.kit.key_providers.vault import VaultTransit
from likeness.rotation.master_key import wrap_anew
from servers import test_settings

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedVault]:
    with simulated_vault() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(scope="session")
def hsm_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:  # the library reads its settings once in a process
        yield soft_hsm(tmp_path_factory.mktemp("softhsm"), patch)


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch, s3: str) -> str:
    """Make a key in KMS of the server that has S3 too: ``mock_aws`` empties every service of its process."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return str(boto3.client("kms", endpoint_url=s3).create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture(params=["env", "vault", "aws-kms", "pkcs11"])
def chosen(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Give the settings of a provider."""
    match request.param:
        case "env":
            return {"key_provider": "env", "master_key": MASTER_KEY}
        case "vault":
            request.getfixturevalue("vault")
            return {"key_provider": "vault:transit/likeness"}
        case "aws-kms":
            return {"key_provider": f"aws-kms:{request.getfixturevalue('kms')}"}
    module = request.getfixturevalue("hsm_module")
    return {"key_provider": f"pkcs11:{HSM_TOKEN}/{LABEL}", "pkcs11_module": module, "pkcs11_pin": PIN}


def test_a_key_opens_for_its_purpose_alone(tmp_path: Path, chosen: dict[str, Any]) -> None:
    keys, data_key = key_provider(test_settings(tmp_path, **chosen)), new_data_key()
    wrapped = keys.wrap(data_key, "tenant key 1")
    assert data_key not in wrapped
    assert keys.wrap(data_key, "tenant key 1") != wrapped
    assert key_provider(test_settings(tmp_path, **chosen)).unwrap(wrapped, "tenant key 1") == data_key
    for other, context in ((wrapped, "tenant key 2"), (wrapped[:-4] + b"AAA=", "tenant key 1"), (b"", "tenant key 1")):
        with pytest.raises(SetupError):
            keys.unwrap(other, context)


def test_a_deployment_runs_without_a_key_file(tmp_path: Path, chosen: dict[str, Any]) -> None:
    settings = test_settings(tmp_path, **chosen)
    assert not is_initialised(settings)
    initialise(settings)
    assert is_initialised(settings)
    with pytest.raises(SetupError, match="already"):
        initialise(settings)
    assert not settings.master_key_file.exists()
    with closing(open_deployment(settings)) as deployment:
        sealed = deployment.tenants.create("acme").cipher.seal(b"x", "p", "r")
    with closing(open_deployment(settings)) as deployment:
        assert deployment.tenants.by_name("acme").cipher.open(sealed, "p", "r") == b"x"


def test_a_deployment_moves_to_another_provider(tmp_path: Path, chosen: dict[str, Any]) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    with closing(open_deployment(settings)) as deployment:
        sealed = deployment.tenants.create("acme").cipher.seal(b"x", "p", "r")
        wrap_anew(deployment, deployment.keys, key_provider(test_settings(tmp_path, **chosen)))
    with pytest.raises(SetupError, match="wrong master key"):
        open_deployment(settings)
    with closing(open_deployment(test_settings(tmp_path, **chosen))) as deployment:
        assert deployment.tenants.by_name("acme").cipher.open(sealed, "p", "r") == b"x"


def test_after_a_rotation_in_vault_the_older_version_is_not_needed(
    tmp_path: Path, vault: SimulatedVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = test_settings(tmp_path, key_provider="vault:transit/likeness")
    initialise(settings)
    with closing(open_deployment(settings)) as deployment:
        deployment.tenants.create("acme")
    vault.rotate("transit/likeness")
    for name, value in (("DATA_DIR", str(tmp_path)), ("KEY_PROVIDER", settings.key_provider), ("PACK", "fake")):
        monkeypatch.setenv(f"LIKENESS_{name}", value)
    result = CliRunner().invoke(app, ["keys", "rotate-master"], catch_exceptions=False)
    assert "keys are wrapped by LIKENESS_KEY_PROVIDER=vault:transit/likeness" in result.stdout
    vault.keys["transit/likeness"][0] = bytes(32)
    with closing(open_deployment(settings)) as deployment:
        assert [tenant.name for tenant in deployment.tenants.all()] == ["acme"]


def test_faults_of_vault_are_told_apart(vault: SimulatedVault) -> None:
    keys = VaultTransit("transit/likeness", vault.environment)
    with pytest.raises(SetupError, match="refuses the key transit/other"):
        VaultTransit("transit/other", vault.environment).wrap(new_data_key(), "c")
    with pytest.raises(SetupError, match="403"):
        VaultTransit("transit/likeness", {**vault.environment, "VAULT_TOKEN": "wrong"}).wrap(new_data_key(), "c")
    vault.sealed = True
    with pytest.raises(ServiceUnavailable, match="503"):
        keys.wrap(new_data_key(), "c")
    nowhere = VaultTransit("transit/likeness", {"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": TOKEN})
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        nowhere.wrap(new_data_key(), "c")


def test_the_token_of_vault_is_read_again(vault: SimulatedVault, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("expired\n")
    keys = VaultTransit("transit/likeness", {**vault.environment, "VAULT_TOKEN_FILE": str(file)})
    with pytest.raises(SetupError):
        keys.wrap(new_data_key(), "c")
    file.write_text(f"{TOKEN}\n")
    assert keys.wrap(new_data_key(), "c")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key_provider": "env"}, "LIKENESS_MASTER_KEY must have 32 random bytes"),
        ({"key_provider": "env", "master_key": "c2hvcnQ="}, "32 random bytes"),
        ({"key_provider": "env", "master_key": "%"}, "32 random bytes"),
        ({"key_provider": "vault:transit/likeness"}, "needs VAULT_ADDR"),
        ({"key_provider": "pkcs11:token/label"}, "needs LIKENESS_PKCS11_MODULE"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    with pytest.raises(SetupError, match=message):
        key_provider(test_settings(tmp_path, **settings))
