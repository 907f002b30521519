"""The answers of the calls. The names are the wire's, in snake_case. Members that a newer server adds are ignored."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Face:
    """The face that was found in a photo: its box in pixels, and its quality (ISO/IEC 29794-5), 0..100."""

    x: float
    y: float
    width: float
    height: float
    quality: int
    measures: Mapping[str, int]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Face":
        box, quality = body["box"], body["quality"]
        return cls(box["x"], box["y"], box["width"], box["height"], quality["score"], quality["measures"])


@dataclass(frozen=True, slots=True)
class Match:
    """Whether two photos show one person.

    ``target`` is None for an enrolled person, and ``score`` for a client that gets levels only.
    """

    match: bool
    match_level: int
    false_match_rate: float
    model: str
    source: Face
    target: Face | None
    score: float | None

    def __bool__(self) -> bool:
        return self.match

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Match":
        return cls(
            body["match"],
            body["matchLevel"],
            body["falseMatchRate"],
            body["model"],
            Face.of(body["source"]),
            Face.of(body["target"]) if body["target"] else None,
            body.get("score"),
        )


@dataclass(frozen=True, slots=True)
class Portrait:
    """The upright portrait of a document, as JPEG, and the face in the photo that was sent.

    ``reasons`` are the measures for which the portrait would be refused as an ID photo.
    """

    jpeg: bytes
    width: int
    height: int
    face: Face
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Portrait":
        jpeg = base64.b64decode(body["portrait"])
        return cls(jpeg, body["width"], body["height"], Face.of(body), tuple(body["reasons"]))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled person of a ranked list."""

    one_to_n_verification_id: str
    external_id: str | None
    match_level: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Search:
    """Whether a person is enrolled. With ``insert``, the id of a person who was not found is the new one."""

    one_to_n_verification_id: str | None
    one_to_n_verification_match: bool
    match_level: int
    false_match_rate: float
    model: str
    gallery_size: int
    score: float | None
    candidates: tuple[Candidate, ...]

    def __bool__(self) -> bool:
        return self.one_to_n_verification_match

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Search":
        ranked = tuple(
            Candidate(each["oneToNVerificationId"], each["externalId"], each["matchLevel"], each.get("score"))
            for each in body.get("candidates") or ()
        )
        return cls(
            body["oneToNVerificationId"],
            body["oneToNVerificationMatch"],
            body["matchLevel"],
            body["falseMatchRate"],
            body["model"],
            body["gallerySize"],
            body.get("score"),
            ranked,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """The metadata of an enrolled person."""

    one_to_n_verification_id: str
    external_id: str | None
    metadata: Mapping[str, str]
    quality: int
    image_stored: bool
    created_at: datetime
    consent_reference: str | None = None
    purpose: str | None = None
    expires_at: datetime | None = None
    legal_hold: str | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Entry":
        return cls(
            body["oneToNVerificationId"],
            body["externalId"],
            body["metadata"],
            body["quality"],
            body["imageStored"],
            datetime.fromisoformat(body["createdAt"]),
            body.get("consentReference"),
            body.get("purpose"),
            datetime.fromisoformat(body["expiresAt"]) if body.get("expiresAt") else None,
            body.get("legalHold"),
        )


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A page of the gallery, and the cursor of the next one, or None."""

    entries: tuple[Entry, ...]
    next: str | None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "EntryPage":
        return cls(tuple(map(Entry.of, body["entries"])), body["next"])


@dataclass(frozen=True, slots=True)
class Session:
    """An opened face session, and the page to send the person to."""

    session_id: str
    capture_url: str
    expires_at: datetime

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Session":
        return cls(body["sessionId"], body["captureUrl"], datetime.fromisoformat(body["expiresAt"]))


@dataclass(frozen=True, slots=True)
class Result:
    """The verified result of a face session. ``match``: the person was live, and is the one on the ID photo.

    ``claims`` has all that was signed, with the signals of liveness.
    """

    session_id: str
    jti: str
    match: bool
    match_level: int
    error: str | None
    one_to_n_verification_id: str | None
    one_to_n_verification_match: bool | None
    audit_trail_image_id: str | None
    audit_trail_image_id_checksum: str | None
    claims: Mapping[str, Any] = field(repr=False)

    def __bool__(self) -> bool:
        return self.match
