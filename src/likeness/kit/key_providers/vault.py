"""The master key in the transit engine of HashiCorp Vault or OpenBao: it never leaves the service.

The key's type must be an AEAD, such as Vault's default ``aes256-gcm96``: what a data key is bound to goes along as
associated data. When the key was rotated in Vault, ``likeness keys rotate-master`` wraps everything with its newest
version.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from likeness.errors import ServiceUnavailable, SetupError

TIMEOUT_SECONDS = 10.0


class VaultTransit:
    """A key of a transit engine: ``mount/name``. The address and the token are Vault's own variables."""

    def __init__(self, place: str, environment: Mapping[str, str] = os.environ) -> None:
        """Raises SetupError if a variable is missing."""
        mount, _, name = place.rpartition("/")
        address = environment.get("VAULT_ADDR")
        if not (mount and name and address):
            raise SetupError(
                "LIKENESS_KEY_PROVIDER=vault:MOUNT/NAME needs VAULT_ADDR, and VAULT_TOKEN or VAULT_TOKEN_FILE"
            )
        self._mount, self._name = mount, name
        self._environment = environment
        space = environment.get("VAULT_NAMESPACE")
        self._http = httpx.Client(
            base_url=address.rstrip("/"),
            timeout=TIMEOUT_SECONDS,
            verify=environment.get("VAULT_CACERT") or True,
            headers={"X-Vault-Namespace": space} if space else {},
            trust_env=False,
        )

    def wrap(self, data_key: bytes, context: str) -> bytes:
        answer = self._call("encrypt", {"plaintext": _text(data_key), "associated_data": _text(context.encode())})
        return str(answer["ciphertext"]).encode()

    def unwrap(self, wrapped: bytes, context: str) -> bytes:
        try:
            ciphertext = wrapped.decode("ascii")
        except UnicodeDecodeError as error:
            raise SetupError("a stored data key does not open: another key provider has wrapped it") from error
        asked = {"ciphertext": ciphertext, "associated_data": _text(context.encode())}
        return base64.b64decode(self._call("decrypt", asked)["plaintext"])

    def _token(self) -> str:
        file = self._environment.get("VAULT_TOKEN_FILE")  # an agent renews the token in it
        return Path(file).read_text().strip() if file else self._environment.get("VAULT_TOKEN", "")

    def _call(self, verb: str, body: dict[str, str]) -> dict[str, Any]:
        try:
            reply = self._http.post(
                f"/v1/{self._mount}/{verb}/{self._name}", json=body, headers={"X-Vault-Token": self._token()}
            )
        except (httpx.HTTPError, OSError) as error:
            raise ServiceUnavailable("Vault cannot be reached now, and has the master key.") from error
        if reply.status_code == httpx.codes.BAD_REQUEST:
            raise SetupError("a stored data key does not open: wrong master key in Vault, or the data was altered")
        if reply.status_code in {403, 404}:
            name = f"{self._mount}/{self._name}"
            raise SetupError(f"Vault refuses the key {name} ({reply.status_code}): check the token's policy")
        if not reply.is_success:
            raise ServiceUnavailable(f"Vault, which has the master key, answers {reply.status_code}.")
        data: dict[str, Any] = reply.json()["data"]
        return data


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
