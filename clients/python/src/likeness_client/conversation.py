"""What the two clients share: the steps of a call, apart from who takes them.

A step is a request to send, or a pause in seconds. The clients take the steps, one with threads in mind and one on an
event loop. So tokens, repeats and verification are written once.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from likeness_client import calls
from likeness_client.calls import GATEWAY_TIMEOUT, Call
from likeness_client.errors import NoAnswer, NotFound, NotVerified, error_of
from likeness_client.replies import Result
from likeness_client.verification import kid_of, verify

T = TypeVar("T")
Step = httpx.Request | float
Answer = httpx.Response | httpx.TransportError | None
Steps = Generator[Step, Answer, T]

UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""The faults of a connection after which the server has certainly done nothing."""
EARLY_SECONDS = 60.0
"""A token is renewed so long before its end. A token with a short life is used for nine tenths of it."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""A server that asks for a longer pause has refused the call."""
KEYS_SECONDS = 30.0
"""The public keys are read again for an unknown key, but not more often than this."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The server's address, and the client's id and secret."""

    server: str
    client_id: str
    client_secret: str
    issuer: str


class Conversation:
    """The state that the calls of one client share: its token, and the server's public keys. Thread-safe."""

    def __init__(self, credentials: Credentials, build: Callable[..., httpx.Request], *, repeats: int) -> None:
        """``build`` makes a request with the settings of the HTTP client, such as its timeouts."""
        self._credentials = credentials
        self._build = build
        self._repeats = repeats
        self._lock = threading.Lock()
        """Guards the two pairs below. It is never held over a step."""
        self._token = ("", 0.0)
        self._keys = (KeySet([]), -KEYS_SECONDS)

    def call(self, call: Call[T]) -> Steps[T]:
        """Make a call, with a token, again where that is harmless and can help. Raises LikenessError, OSError."""
        renewed = False
        tries = 0
        while True:
            token = "" if call.is_public else (yield from self._get_token())
            tries += 1
            answer = yield self._request(call, token)
            if isinstance(answer, httpx.Response):
                if answer.is_success:
                    return _read(call, answer)
                if answer.status_code == 401 and token and not renewed:
                    renewed = True
                    tries -= 1
                    self._forget(token)
                    continue
                if answer.status_code == 404 and call.ends_gone and tries > 1:
                    return _read(call, answer)
            pause = self._pause(answer, tries, call.repeated)
            if pause is None:
                raise _fault(answer)
            yield pause

    def verify_result(self, jws: str, *, session_id: str, nonce: str | None) -> Steps[Result]:
        """Verify a result, with keys that are read when one is unknown. Raises NotVerified, LikenessError."""
        kid = kid_of(jws)
        keys, read_at = self._keys
        if kid not in {key.kid for key in keys} and time.monotonic() - read_at >= KEYS_SECONDS:
            try:
                keys = KeySet.import_key_set((yield from self.call(calls.public_keys())))  # type: ignore[arg-type]
            except (JoseError, ValueError) as error:
                raise NotVerified("the server's public keys cannot be read") from error
            with self._lock:
                self._keys = keys, time.monotonic()
        return verify(
            jws,
            keys,
            issuer=self._credentials.issuer,
            audience=self._credentials.client_id,
            session_id=session_id,
            nonce=nonce,
        )

    def audit_image(self, result: Result) -> Steps[bytes]:
        """Give the audit image of a verified result. Raises NotFound, and NotVerified for other bytes."""
        if result.audit_trail_image_id is None:
            raise NotFound("The result has no audit image.", code="NOT_FOUND", status=404)
        image = yield from self.call(calls.audit_image(result.audit_trail_image_id))
        if f"sha256:{hashlib.sha256(image).hexdigest()}" != result.audit_trail_image_id_checksum:
            raise NotVerified("the image is not the one of the result")
        return image

    def _get_token(self) -> Steps[str]:
        token, ends_at = self._token
        if time.monotonic() < ends_at:
            return token
        given, asked_at = self._credentials, time.monotonic()
        token, life = yield from self.call(calls.token(given.client_id, given.client_secret))
        with self._lock:
            self._token = token, asked_at + max(life - EARLY_SECONDS, life * 0.9)
        return token

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token[0] == token:
                self._token = ("", 0.0)

    def _request(self, call: Call[T], token: str) -> httpx.Request:
        headers = {**call.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        files = {name: (f"{name}.jpg", photo) for name, photo in call.photos.items()}
        return self._build(
            call.method,
            f"{self._credentials.server}{call.path}",
            params=dict(call.params) or None,
            headers=headers,
            data=dict(call.fields) or None,
            files=files or None,
        )

    def _pause(self, answer: Answer, tries: int, repeated: frozenset[int]) -> float | None:
        """Give the pause before the next try, or None if there is none."""
        if tries > self._repeats:
            return None
        usual = FIRST_PAUSE_SECONDS * 2 ** (tries - 1) * random.uniform(0.5, 1.0)  # noqa: S311  it is no secret
        if isinstance(answer, httpx.Response):
            if answer.status_code not in repeated:
                return None
            wanted = answer.headers.get("retry-after", "")
            pause = float(wanted) if wanted.isascii() and wanted.isdigit() else usual
            return pause if pause <= LONGEST_PAUSE_SECONDS else None
        return usual if GATEWAY_TIMEOUT in repeated or isinstance(answer, UNSENT) else None


def _read(call: Call[T], answer: httpx.Response) -> T:
    try:
        return call.read(answer)
    except (ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"this is no answer of Likeness: is {answer.url} its address?") from error


def _fault(answer: Answer) -> Exception:
    if isinstance(answer, httpx.Response):
        return error_of(answer)
    fault = NoAnswer(f"the server gave no answer: {answer!r}")
    fault.__cause__ = answer
    return fault
