"""Every call of the API, and the answer that it must give."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from likeness.access.clients import ClientCredentials
from likeness.cli.demo.photos import DemoPhotos

MARK = {"likeness": "demo"}
"""Metadata of the demo's own entries. A later run erases these entries and no others."""
MATCH = "/api/v1/face/match"
OAUTH = "/api/oauth/token"
ONE_TO_N = "/api/v1/face/one-to-n"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    call: str
    asked: str
    answered: str
    milliseconds: float
    ok: bool


@dataclass(slots=True)
class Proof:
    """Makes the calls to a running server, in two halves with a restart between them."""

    url: str
    credentials: ClientCredentials
    photos: DemoPhotos
    http: httpx.Client = field(init=False)
    _headers: dict[str, str] = field(default_factory=dict)
    _enrolled: str = ""

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def before_restart(self) -> Iterator[Row]:
        yield self._token()
        yield from self._matches()
        self._clear()
        yield from self._enrolment()
        yield self._session()
        yield from self._refusals()

    def after_restart(self) -> Iterator[Row]:
        again = self.photos.astronaut_again["relit"]
        yield self._search("the enrolled astronaut, after a restart", again, self._is_her)
        path = f"{ONE_TO_N}/search/{self._enrolled}"
        yield self._call("DELETE one-to-n/search/{id}", "delete her photo", path, expect=204)
        yield self._search("her, with her photo deleted", again, self._is_her)
        path = f"{ONE_TO_N}/{self._enrolled}"
        yield self._call("DELETE one-to-n/{id}", "erase her", path, expect=204)
        yield self._search("her, erased", again, lambda body: body["oneToNVerificationMatch"] is False)

    def _token(self) -> Row:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
        }

        def take(body: dict[str, Any]) -> bool:
            self._headers = {"Authorization": f"Bearer {body['access_token']}"}
            return bool(body["token_type"] == "bearer" and body["expires_in"] > 0)  # noqa: S105  RFC 6750's word

        return self._call("POST oauth/token", "client credentials", OAUTH, form, check=take)

    def _matches(self) -> Iterator[Row]:
        astronaut = self.photos.astronaut
        for change, photo in self.photos.astronaut_again.items():
            yield self._match(f"astronaut and the same photo {change}", astronaut, photo, same=True)
        for name, photo in self.photos.people.items():
            yield self._match(f"astronaut and {name}", astronaut, photo, same=False)
        people = list(self.photos.people.items())
        for (first, one), (second, other) in pairwise(people):
            yield self._match(f"{first} and {second}", one, other, same=False)

    def _match(self, asked: str, source: bytes, target: bytes, *, same: bool) -> Row:
        body = {"sourceImage": _b64(source), "targetImage": _b64(target)}
        return self._call("POST face/match", asked, MATCH, body, check=lambda reply: reply["match"] is same)

    def _clear(self) -> None:
        page = self.http.get(ONE_TO_N, params={"limit": 1000}, headers=self._headers).raise_for_status().json()
        for entry in page["entries"]:
            if entry["metadata"] == MARK:
                self.http.delete(
                    f"{ONE_TO_N}/{entry['oneToNVerificationId']}", headers=self._headers
                ).raise_for_status()

    def _enrolment(self) -> Iterator[Row]:
        def keep(body: dict[str, Any]) -> bool:
            self._enrolled = body["oneToNVerificationId"]
            return bool(self._enrolled)

        body = {"idPhoto": _b64(self.photos.astronaut), "metadata": MARK}
        yield self._call("POST one-to-n/insert", "enrol the astronaut", f"{ONE_TO_N}/insert", body, check=keep)
        for name in ("man in grey", "man laughing", "woman with cards"):
            body = {"idPhoto": _b64(self.photos.people[name]), "metadata": MARK}
            yield self._call("POST one-to-n/insert", f"enrol {name}", f"{ONE_TO_N}/insert", body)
        for change, photo in self.photos.astronaut_again.items():
            yield self._search(f"astronaut {change}", photo, self._is_her)
        stranger = self.photos.people["man standing"]
        yield self._search("a stranger", stranger, lambda reply: reply["oneToNVerificationMatch"] is False)
        enrolled = self.photos.people["man in grey"]
        yield self._search("man in grey, insert: true", enrolled, lambda r: r["oneToNVerificationMatch"], insert=True)

    def _search(
        self, asked: str, photo: bytes, check: Callable[[dict[str, Any]], bool], *, insert: bool = False
    ) -> Row:
        body = {"idPhoto": _b64(photo), "insert": insert}
        return self._call("POST one-to-n/search", asked, f"{ONE_TO_N}/search", body, check=check)

    def _is_her(self, reply: dict[str, Any]) -> bool:
        return reply["oneToNVerificationMatch"] is True and reply["oneToNVerificationId"] == self._enrolled

    def _session(self) -> Row:
        body = {"idPhoto": _b64(self.photos.astronaut), "nonce": "demo"}
        return self._call("POST face", "open a face session", "/api/v1/face", body, expect=201)

    def _refusals(self) -> Iterator[Row]:
        photo = _b64(self.photos.astronaut)
        insert = f"{ONE_TO_N}/insert"
        wrong = {"grant_type": "client_credentials", "client_id": self.credentials.client_id, "client_secret": "wrong"}
        yield self._call("POST oauth/token", "a wrong secret", OAUTH, wrong, expect=401)
        narrow = {"Authorization": f"Bearer {self._narrow_token()}"}
        for asked, path, body, headers, expect in (
            ("no token", MATCH, {}, {}, 401),
            ("a token without the permission", MATCH, {}, narrow, 403),
            ("a field missing", MATCH, {"sourceImage": photo}, self._headers, 400),
            (
                "minimumMatchLevel 9",
                MATCH,
                {"sourceImage": photo, "targetImage": photo, "minimumMatchLevel": 9},
                self._headers,
                400,
            ),
            ("not base64", insert, {"idPhoto": "%%%"}, self._headers, 400),
            ("a cup of coffee", insert, {"idPhoto": _b64(self.photos.nobody)}, self._headers, 400),
            ("a group of six", insert, {"idPhoto": _b64(self.photos.group)}, self._headers, 400),
            ("a photo cut short", insert, {"idPhoto": _b64(self.photos.astronaut[:2000])}, self._headers, 400),
            ("a GIF", insert, {"idPhoto": _b64(b"GIF89a" + bytes(100))}, self._headers, 415),
            ("6 MB", insert, {"idPhoto": _b64(self.photos.astronaut + bytes(6 << 20))}, self._headers, 413),
        ):
            yield self._call(f"POST {path.removeprefix('/api/v1/')}", asked, path, body, headers=headers, expect=expect)
        named = {"idPhoto": _b64(self.photos.people["blonde woman"]), "metadata": MARK, "externalId": "demo"}
        yield self._call("POST face/one-to-n/insert", "externalId demo", insert, named)
        yield self._call("POST face/one-to-n/insert", "externalId demo once more", insert, named, expect=409)
        path = f"{ONE_TO_N}/search/00000000-0000-4000-8000-000000000000"
        yield self._call("DELETE one-to-n/search/{id}", "an unknown id", path, expect=404)
        yield self._guess()

    def _guess(self) -> Row:
        """Guess secrets until the server answers 429."""
        guess = {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "wrong"}
        for _ in range(100):
            row = self._call("POST oauth/token", "wrong secrets in a row", OAUTH, guess, expect=429)
            if row.ok:
                break
        return row

    def _narrow_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.credentials.client_id,
            "client_secret": self.credentials.client_secret,
            "scope": "KYC_INFO_SDK",
        }
        return str(self.http.post(OAUTH, data=form).raise_for_status().json()["access_token"])

    def _call(
        self,
        call: str,
        asked: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        expect: int = 200,
        check: Callable[[dict[str, Any]], bool] | None = None,
    ) -> Row:
        """Make a call and check its answer. A token request sends a form, every other call JSON."""
        headers = self._headers if headers is None else headers
        form, content = (body, None) if path == OAUTH else (None, body)
        started = time.perf_counter()
        reply = self.http.request(call.partition(" ")[0], path, json=content, data=form, headers=headers)
        milliseconds = (time.perf_counter() - started) * 1000
        answer = reply.json() if reply.content else {}
        ok = reply.status_code == expect and (check is None or bool(check(answer)))
        return Row(call, asked, f"{reply.status_code} {_summary(answer)}", milliseconds, ok)


SUMMARIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "access_token": lambda answer: f"token for {answer['expires_in']} s",
    "error": lambda answer: str(answer["error"]),
    "match": lambda answer: (
        f"match: {str(answer['match']).lower()}, level {answer['matchLevel']}, score {answer['score']:.2f}"
    ),
    "oneToNVerificationMatch": lambda answer: (
        f"found {answer['oneToNVerificationId'][:8]}…, level {answer['matchLevel']}"
        if answer["oneToNVerificationMatch"]
        else "not found"
    ),
    "oneToNVerificationId": lambda answer: f"id {answer['oneToNVerificationId'][:8]}…",
    "sessionId": lambda answer: f"session {answer['sessionId'][:8]}…, captureUrl",
}


def _summary(answer: dict[str, Any]) -> str:
    """Summarise an answer in a few words."""
    return next((describe(answer) for member, describe in SUMMARIES.items() if member in answer), "")


def _b64(photo: bytes) -> str:
    return base64.b64encode(photo).decode()
