"""Where settings come from."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from likeness.settings import Settings


def test_the_environment_is_read_in_any_case_and_text_becomes_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "LIKENESS_PORT": "9000",
        "likeness_standby": "yes",
        "LIKENESS_KEY_FILE": "/keys/a",
        "LIKENESS_NOTHING": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.port, settings.standby, settings.key_file) == (9000, True, Path("/keys/a"))
    assert settings.model_fields_set >= {"port", "standby", "key_file"}


def test_what_is_given_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_PORT", "9000")
    assert Settings(port=1).port == 1
    assert Settings(port=1).model_copy(update={"port": 2}).port == 2


def test_a_server_is_known_by_its_public_name_and_by_the_further_ones() -> None:
    assert Settings().host_names == {"localhost", "127.0.0.1"}
    settings = Settings(base_url="https://Face.Example:8443", hosts="A.internal, ::1")
    assert settings.host_names == {"localhost", "127.0.0.1", "face.example", "a.internal", "::1"}


@pytest.mark.parametrize("hosts", ["", "a,", "a:80", "http://a", "*", "a/b", "u@a", "a b", "-a"])
def test_what_is_no_name_of_a_host_is_refused(hosts: str) -> None:
    with pytest.raises(ValidationError, match="not the name of a host"):
        Settings(hosts=hosts)


def test_a_certificate_comes_through_a_proxy() -> None:
    assert Settings(proxies="10.0.0.0/8, ::1", certificate_header="X-Client-Cert").proxies == "10.0.0.0/8,::1/128"
    with pytest.raises(ValidationError, match="needs LIKENESS_PROXIES"):
        Settings(certificate_header="X-Client-Cert")
    with pytest.raises(ValidationError):
        Settings(proxies="10.0.0.1/8")


def test_every_bad_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_PORT", "x")
    monkeypatch.setenv("LIKENESS_WORKERS", "0")
    monkeypatch.setenv("LIKENESS_KEEP_ALIVE_SECONDS", "")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert {fault["loc"] for fault in refused.value.errors()} == {("port",), ("workers",), ("keep_alive_seconds",)}


def test_secrets_are_not_in_the_text_of_the_settings() -> None:
    settings = Settings(
        key_provider="env",
        master_key="secret-key",
        pkcs11_pin="secret-pin",
        database_url="postgresql+psycopg://likeness:secret-password@database/likeness",
        webhook_proxy="http://likeness:secret-word@proxy:3128",
    )
    assert "secret" not in repr(settings)
