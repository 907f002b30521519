"""The calls of the API as values, apart from how they are sent."""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from likeness_client.photos import Photo, read_photo
from likeness_client.replies import Entry, EntryPage, Match, Portrait, Search, Session

T = TypeVar("T")
GATEWAY_TIMEOUT = 504
EVERY_TIME = frozenset({429, 502, 503, GATEWAY_TIMEOUT})


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call: what is sent, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    fields: Mapping[str, str] = field(default_factory=dict)
    photos: Mapping[str, bytes] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_public: bool = False
    """Whether it needs no token."""
    repeated: frozenset[int] = EVERY_TIME
    """The statuses after which a repeat is harmless. With 504 it is harmless also after the answer was lost."""
    ends_gone: bool = False
    """Whether a repeat that finds nothing has succeeded: the first try took it away."""


def token(client_id: str, client_secret: str) -> Call[tuple[str, float]]:
    """Ask for a token. The answer has it, and its life in seconds."""
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    read = _as(lambda body: (str(body["access_token"]), float(body["expires_in"])))
    return Call("POST", "/api/oauth/token", read, fields, is_public=True)


def match(source: Photo, target: Photo | None, options: Mapping[str, Any]) -> Call[Match]:
    """Raises TypeError unless there is one of a ``target`` and an option ``targetId``."""
    if (target is None) == (options["targetId"] is None):
        raise TypeError("give either a target or a target_id")
    photos = {"sourceImage": read_photo(source)}
    if target is not None:
        photos["targetImage"] = read_photo(target)
    return Call("POST", "/api/v1/face/match", _as(Match.of), _fields(**options), photos)


def portrait(photo: Photo, options: Mapping[str, Any]) -> Call[Portrait]:
    photos = {"idPhoto": read_photo(photo)}
    return Call("POST", "/api/v1/face/portrait", _as(Portrait.of), _fields(**options), photos)


def search(photo: Photo, options: Mapping[str, Any]) -> Call[Search]:
    photos = {"idPhoto": read_photo(photo)}
    # A repeat of a search that enrols would find the person whom the first try may have enrolled.
    repeated = frozenset({429}) if options["insert"] else EVERY_TIME
    return Call("POST", "/api/v1/face/one-to-n/search", _as(Search.of), _fields(**options), photos, repeated=repeated)


def insert(
    photo: Photo, options: Mapping[str, Any], *, metadata: Mapping[str, str] | None, idempotency_key: str | None
) -> Call[str]:
    fields = _fields(**options) | ({"metadata": _json(dict(metadata))} if metadata else {})
    return Call(
        "POST",
        "/api/v1/face/one-to-n/insert",
        _as(lambda body: str(body["oneToNVerificationId"])),
        fields,
        {"idPhoto": read_photo(photo)},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
    )


def entry(entry_id: str) -> Call[Entry]:
    return Call("GET", f"/api/v1/face/one-to-n/{_segment(entry_id)}", _as(Entry.of))


def entries(*, cursor: str | None, external_id: str | None) -> Call[EntryPage]:
    params = _fields(cursor=cursor, externalId=external_id)
    return Call("GET", "/api/v1/face/one-to-n", _as(EntryPage.of), params=params)


def delete_image(entry_id: str) -> Call[None]:
    return Call("DELETE", f"/api/v1/face/one-to-n/search/{_segment(entry_id)}", _nothing)


def erase(entry_id: str) -> Call[None]:
    return Call("DELETE", f"/api/v1/face/one-to-n/{_segment(entry_id)}", _nothing, ends_gone=True)


def open_session(id_photo: Photo, options: Mapping[str, Any]) -> Call[Session]:
    # After a lost answer a repeat would open a second session, which counts against the photo's limit of attempts.
    return Call(
        "POST",
        "/api/v1/face",
        _as(Session.of),
        _fields(**options),
        {"idPhoto": read_photo(id_photo)},
        repeated=frozenset({429, 503}),
    )


def result(session_id: str) -> Call[str]:
    return Call("GET", f"/api/v1/info/{_segment(session_id)}", lambda response: response.text)


def purge(session_id: str) -> Call[None]:
    return Call("DELETE", f"/api/v1/info/{_segment(session_id)}", _nothing)


def audit_image(image_id: str) -> Call[bytes]:
    return Call("GET", f"/api/v1/info/img/{_segment(image_id)}", lambda response: response.content)


def public_keys() -> Call[dict[str, Any]]:
    return Call("GET", "/api/.well-known/jwks.json", _as(dict), is_public=True)


def _as(read: Callable[[Any], T]) -> Callable[[httpx.Response], T]:
    return lambda response: read(response.json())


def _nothing(_response: httpx.Response) -> None:
    return None


def _fields(**values: object) -> dict[str, str]:
    """Give the fields of a form. A value of None is left out."""
    given = {name: value for name, value in values.items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _segment(text: str) -> str:
    """Give a part of a path. An id that has a slash would name another call."""
    return quote(text, safe="")
