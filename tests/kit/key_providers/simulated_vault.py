"""A simulated counterpart of Vault's transit engine: no package has Vault's own server.

It speaks the two calls that Likeness makes, as Vault documents them: ``encrypt`` and ``decrypt`` of an ``aes256-gcm96``
key, with ``associated_data``. A ciphertext is ``vault:v1:`` and base64 of nonce, ciphertext and tag. Errors have Vault's
status and shape.
"""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.test"


class SimulatedVault(ThreadingHTTPServer):
    """Keys by ``mount/name``; each has its versions, the newest last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: dict[str, list[bytes]] = {"transit/likeness": [secrets.token_bytes(32)]}
        self.sealed = False

    def rotate(self, name: str, *, forget_older: bool = False) -> None:
        """Add a version, as ``vault write -f transit/keys/NAME/rotate`` does; forget the others' content on request."""
        older = [secrets.token_bytes(32) for _ in self.keys[name]] if forget_older else self.keys[name]
        self.keys[name] = [*older, secrets.token_bytes(32)]

    @property
    def environment(self) -> dict[str, str]:
        return {"VAULT_ADDR": f"http://127.0.0.1:{self.server_port}", "VAULT_TOKEN": TOKEN}


class _Handler(BaseHTTPRequestHandler):
    server: SimulatedVault

    def log_message(self, *_: Any) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        _, _, mount, verb, name = self.path.split("/")
        versions = self.server.keys.get(f"{mount}/{name}")
        if self.server.sealed:
            self._answer(503, {"errors": ["Vault is sealed"]})
        elif self.headers["X-Vault-Token"] != TOKEN or versions is None:
            self._answer(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
        elif verb == "encrypt":
            nonce, given = secrets.token_bytes(12), base64.b64decode(body["associated_data"])
            sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, base64.b64decode(body["plaintext"]), given)
            self._answer(200, {"data": {"ciphertext": f"vault:v{len(versions)}:{base64.b64encode(sealed).decode()}"}})
        else:
            self._decrypt(versions, body)

    def _decrypt(self, versions: list[bytes], body: dict[str, str]) -> None:
        try:
            _, version, text = body["ciphertext"].split(":")
            sealed, given = base64.b64decode(text), base64.b64decode(body["associated_data"])
            plain = AESGCM(versions[int(version[1:]) - 1]).decrypt(sealed[:12], sealed[12:], given)
        except (InvalidTag, ValueError, IndexError):
            self._answer(400, {"errors": ["cipher: message authentication failed"]})
        else:
            self._answer(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def simulated_vault() -> Iterator[SimulatedVault]:
    with SimulatedVault() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
