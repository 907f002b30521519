"""The client for programs with threads."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx

from likeness_client import calls
from likeness_client.conversation import Answer, Conversation, Credentials, Step, Steps
from likeness_client.photos import Photo, PhotoSource
from likeness_client.replies import Entry, Match, Portrait, Result, Search, Session

T = TypeVar("T")
TIMEOUT_SECONDS = 30.0
REPEATS = 3


class Client:
    """Makes the calls of one API client. Threads may share it. Close it, or use it in ``with``.

    ``server`` is the server's public address, such as ``https://face.example.com``. The server signs results with it
    as the issuer; ``issuer`` is for a server that is reached by another address. ``repeats`` is how often a call is
    repeated after 429 or 503, or a lost connection, if that is harmless. ``http`` is an HTTP client of your own, with
    a proxy, a certificate or other timeouts; you close it.
    """

    def __init__(
        self,
        server: str,
        client_id: str,
        client_secret: str,
        *,
        issuer: str | None = None,
        repeats: int = REPEATS,
        http: httpx.Client | None = None,
    ) -> None:
        server = server.rstrip("/")
        self._is_own = http is None
        self._http = http or httpx.Client(timeout=TIMEOUT_SECONDS)
        credentials = Credentials(server, client_id, client_secret, issuer or server)
        self._conversation = Conversation(credentials, self._http.build_request, repeats=repeats)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            self._http.close()

    def match(
        self,
        source: Photo,
        target: Photo | None = None,
        *,
        target_id: str | None = None,
        minimum_match_level: int = 3,
        photo_source: PhotoSource | None = None,
    ) -> Match:
        """Say whether two photos show one person. ``target_id`` is an enrolled person in the place of ``target``.

        ``photo_source`` says what the ``source`` is. Raises FaceRefused, and NotFound for an unknown ``target_id``.
        """
        options = {"targetId": target_id, "minimumMatchLevel": minimum_match_level, "source": photo_source}
        return self._run(self._conversation.call(calls.match(source, target, options)))

    def portrait(self, photo: Photo, *, photo_source: PhotoSource = "ID_DOCUMENT") -> Portrait:
        """Cut the upright portrait of a document. Raises FaceRefused."""
        return self._run(self._conversation.call(calls.portrait(photo, {"source": photo_source})))

    def search(
        self,
        photo: Photo,
        *,
        insert: bool = False,
        candidates: int = 0,
        minimum_match_level: int | None = None,
        photo_source: PhotoSource | None = None,
        consent_reference: str | None = None,
        purpose: str | None = None,
        expires_at: datetime | None = None,
    ) -> Search:
        """Find the enrolled person on a photo. With ``insert``, enrol a person who is not found. Raises FaceRefused.

        ``consent_reference``, ``purpose`` and ``expires_at``, which has a time zone, are for the entry that ``insert``
        makes.
        """
        options = {
            "insert": insert,
            "candidates": candidates,
            "minimumMatchLevel": minimum_match_level,
            "source": photo_source,
            "consentReference": consent_reference,
            "purpose": purpose,
            "expiresAt": expires_at and expires_at.isoformat(),
        }
        wanted = calls.search(photo, options)
        return self._run(self._conversation.call(wanted))

    def insert(
        self,
        photo: Photo,
        *,
        external_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        photo_source: PhotoSource | None = None,
        consent_reference: str | None = None,
        purpose: str | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Enrol a person, once however often the call is repeated, and give the entry's id. Raises FaceRefused.

        Give an ``idempotency_key`` to hold that promise also over a restart of your program. The server erases the
        entry at ``expires_at``, which has a time zone.
        """
        options = {
            "externalId": external_id,
            "source": photo_source,
            "consentReference": consent_reference,
            "purpose": purpose,
            "expiresAt": expires_at and expires_at.isoformat(),
        }
        wanted = calls.insert(photo, options, metadata=metadata, idempotency_key=idempotency_key)
        return self._run(self._conversation.call(wanted))

    def entry(self, entry_id: str) -> Entry:
        """Read an entry's metadata. Raises NotFound."""
        return self._run(self._conversation.call(calls.entry(entry_id)))

    def entries(self, *, external_id: str | None = None) -> Iterator[Entry]:
        """Read the gallery page by page, in order of enrolment."""
        cursor: str | None = None
        while True:
            page = self._run(self._conversation.call(calls.entries(cursor=cursor, external_id=external_id)))
            yield from page.entries
            cursor = page.next
            if cursor is None:
                return

    def delete_image(self, entry_id: str) -> None:
        """Delete an entry's photo. The person stays searchable. Raises NotFound."""
        self._run(self._conversation.call(calls.delete_image(entry_id)))

    def erase(self, entry_id: str) -> None:
        """Erase an entry, its photo and its templates. Raises NotFound."""
        self._run(self._conversation.call(calls.erase(entry_id)))

    def open_session(
        self,
        id_photo: Photo,
        *,
        nonce: str | None = None,
        photo_source: PhotoSource | None = None,
        max_attempts: int | None = None,
        minimum_match_level: int | None = None,
        liveness_mode: Literal["passive", "active", "strict"] | None = None,
        one_to_n: Literal["none", "search", "insert"] | None = None,
        audit_trail_image_obfuscation: Literal["FILLED", "FILLED_WHITE", "BLURRED"] | None = None,
        return_data_for_incomplete_session: bool | None = None,
        redirect_url: str | None = None,
        consent_reference: str | None = None,
        purpose: str | None = None,
    ) -> Session:
        """Open a face session for the person on an ID photo, and send the person to its page. Raises FaceRefused."""
        options = {
            "nonce": nonce,
            "source": photo_source,
            "maxAttempts": max_attempts,
            "minimumMatchLevel": minimum_match_level,
            "livenessMode": liveness_mode,
            "oneToN": one_to_n,
            "auditTrailImageObfuscation": audit_trail_image_obfuscation,
            "returnDataForIncompleteSession": return_data_for_incomplete_session,
            "redirectUrl": redirect_url,
            "consentReference": consent_reference,
            "purpose": purpose,
        }
        return self._run(self._conversation.call(calls.open_session(id_photo, options)))

    def result(self, session_id: str) -> str:
        """Fetch a session's signed result, for ten minutes after its end. Raises NotFound."""
        return self._run(self._conversation.call(calls.result(session_id)))

    def verify_result(self, jws: str, *, session_id: str, nonce: str | None) -> Result:
        """Give the result of your session, wherever it came from. Raises NotVerified.

        ``session_id`` and ``nonce`` are those that you opened the session with; ``nonce`` is None without one.
        """
        return self._run(self._conversation.verify_result(jws, session_id=session_id, nonce=nonce))

    def audit_image(self, result: Result) -> bytes:
        """Fetch the audit image (JPEG) of a verified result, and check its hash. Raises NotFound, NotVerified."""
        return self._run(self._conversation.audit_image(result))

    def purge(self, session_id: str) -> None:
        """Delete all data of a session now."""
        self._run(self._conversation.call(calls.purge(session_id)))

    def _run(self, steps: Steps[T]) -> T:
        answer: Answer = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                done: T = end.value
                return done
            answer = self._take(step)

    def _take(self, step: Step) -> Answer:
        if isinstance(step, float):
            time.sleep(step)
            return None
        try:
            return self._http.send(step)
        except httpx.TransportError as fault:
            return fault
