"""The common parts of endpoints: they read bodies up to a limit, and answer errors in one form."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from likeness.errors import (
    BadRequest,
    ErrorCode,
    InvalidInput,
    LikenessError,
    LowQuality,
    PayloadTooLarge,
    UnsupportedMediaType,
    codes_of,
)
from likeness.kit.admission import PLACE, Admission
from likeness.kit.executors import SizedExecutor
from likeness.kit.fairness import OWNER
from likeness.settings import Settings
from likeness.web.components import components_of
from likeness.web.form import read_form
from likeness.web.json_object import read_object
from likeness.web.wire import WireModel, example, faults_of

M = TypeVar("M", bound=BaseModel)
NULL = {"type": "null"}
JSON_BYTES = 32 * 1024
"""The largest JSON body of a call without photos."""
FIELDS_BYTES = 64 * 1024
"""Room for the fields beside the photos and for multipart boundaries."""
LINE_BREAKS = 1.05
"""Line breaks after 64 or 76 characters make base64 longer by less than this factor."""
LARGEST_BODIES_PER_WORKER = 2
"""Bodies of the largest size, per worker, that memory is reserved for. Most bodies are much smaller, so more fit."""
OFFLOAD_JSON_BYTES, OFFLOAD_FORM_BYTES = 64 * 1024, 384 * 1024
"""Larger bodies are parsed on a thread. A form with one photo is parsed in less time than a change of thread takes."""
_parsing = SizedExecutor("parse", workers=1)
"""Parsing keeps the interpreter busy. So a second thread would only take it from the event loop."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The largest photo accepted, in bytes after base64 decoding."""

    image_bytes: int

    def in_json(self, photos: int) -> int:
        """Give the bytes of the largest JSON body with so many photos."""
        return int(photos * self.image_bytes * 4 / 3 * LINE_BREAKS) + FIELDS_BYTES

    def in_form(self, photos: int) -> int:
        """Give the bytes of the largest form with so many photos."""
        return photos * self.image_bytes + FIELDS_BYTES


@dataclass(frozen=True, kw_only=True)
class BodyComponents:
    """The components that :func:`read_fields` needs."""

    body_limits: BodyLimits
    admission: Admission


def make_admission(settings: Settings) -> Admission:
    """Make the admission to the workers' queue, with memory for the largest bodies of all workers."""
    largest_bytes = BodyLimits(settings.max_image_bytes).in_json(photos=2)
    body_bytes = LARGEST_BODIES_PER_WORKER * settings.photos_at_once * largest_bytes
    return Admission(workers=settings.photos_at_once, wait_seconds=settings.queue_seconds, body_bytes=body_bytes)


async def read_body(request: Request, *, limit_bytes: int) -> bytes:
    """Give the body. Raises PayloadTooLarge, by the declared length if possible, else at the limit."""
    return b"".join([chunk async for chunk in _capped(request, limit_bytes)])


async def read_fields(request: Request, model: type[M], *, photos: int) -> M:
    """Read a JSON or multipart body with at most ``photos`` photos and validate it.

    Call it after the caller is authorised. Raises PayloadTooLarge, UnsupportedMediaType, BadRequest and InvalidInput,
    and ServiceUnavailable before the body is read. RequestContext gives back the request's place in the queue at its
    end.
    """
    components = components_of(request.app, BodyComponents)
    limits = components.body_limits
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    refuse_encoded(request)
    if media_type == "application/json":
        limit_bytes, read, offload_bytes = limits.in_json(photos), read_object, OFFLOAD_JSON_BYTES
    elif media_type == "multipart/form-data":
        read = partial(read_form, content_type=content_type)
        limit_bytes, offload_bytes = limits.in_form(photos), OFFLOAD_FORM_BYTES
    else:
        raise UnsupportedMediaType("Send application/json or multipart/form-data.")
    size = _declared(request, limit_bytes)
    place = components.admission.ask(OWNER.get(), photos=photos, size=limit_bytes if size is None else size)
    request.state.place = place
    PLACE.set(place)
    body = bytearray()  # grows in place: chunks that are kept until the end would fragment the memory
    async for chunk in _capped(request, limit_bytes):
        body += chunk
    received = len(body)
    place.arrived(received)
    strict = media_type == "application/json"  # a form has only text
    work = partial(_validate, body, read, model, strict=strict, image_bytes=limits.image_bytes)
    return await _parsing.run(work) if received > offload_bytes else work()


async def read_json(request: Request, model: type[M]) -> M:
    """Read a small JSON body without photos and validate it. Call it after the caller is authorised.

    Raises PayloadTooLarge, UnsupportedMediaType, BadRequest and InvalidInput.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("Send application/json.")
    refuse_encoded(request)
    body = await read_body(request, limit_bytes=JSON_BYTES)
    try:
        fields = read_object(bytearray(body))
    except ValueError as error:
        raise BadRequest(f"{error}.") from error
    given = {name: value for name, value in fields.items() if value is not None}  # null counts as left out
    try:
        return model.model_validate_json(json.dumps(given), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidInput(f"{faults_of(error)}.") from error


def refuse_encoded(request: Request) -> None:
    """Raise UnsupportedMediaType for a compressed body, whose size would be known only after unpacking."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        # RFC 9110 section 15.5.16
        headers = {"Accept-Encoding": "identity"}
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.", headers=headers)


def _declared(request: Request, limit_bytes: int) -> int | None:
    """Give the body's declared length, or None. Raises PayloadTooLarge."""
    declared = request.headers.get("content-length", "")
    if not declared.isdigit():
        return None
    if int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    return int(declared)


async def _capped(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    _declared(request, limit_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        yield chunk


def _too_large(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The request may have at most {limit_bytes} bytes.")


def _validate(
    body: bytearray, read: Callable[[bytearray], dict[str, Any]], model: type[M], *, strict: bool, image_bytes: int
) -> M:
    """Parse and check a body."""
    try:
        fields = read(body)
    except ValueError as error:
        raise BadRequest(f"{error}.") from error
    given = {name: value for name, value in fields.items() if value is not None}  # null counts as left out
    try:
        return model.model_validate(
            given, strict=strict, context={"image_bytes": image_bytes}, by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise InvalidInput(f"{faults_of(error)}.") from error


def body_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Give ``openapi_extra`` for an endpoint that reads its body with :func:`read_fields`."""
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    members = schema.pop("properties")
    required = schema["required"]
    in_json = {name: member if name in required else _nullable(member) for name, member in members.items()}
    in_form = {
        name: in_text(member) if name in required else _empty(in_text(member)) for name, member in members.items()
    }
    shown = {"example": schema.pop("example")}
    content = {
        "application/json": {"schema": schema | {"title": model.__name__, "properties": in_json} | shown},
        "multipart/form-data": {"schema": schema | {"title": f"{model.__name__}Form", "properties": in_form}},
    }
    return {"requestBody": {"required": True, "content": content}}


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Give ``openapi_extra`` for an endpoint that reads its body with :func:`read_json`."""
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    content = {"application/json": {"schema": schema | {"title": model.__name__}}}
    return {"requestBody": {"required": True, "content": content}}


def _nullable(member: dict[str, Any]) -> dict[str, Any]:
    """Allow null for a member, which counts as left out."""
    if NULL in member.get("anyOf", []):
        return member
    outer: dict[str, Any] = {name: member[name] for name in ("description", "default") if name in member}
    return {"anyOf": [{name: value for name, value in member.items() if name not in outer}, NULL], **outer}


def _empty(member: dict[str, Any]) -> dict[str, Any]:
    """Let the form of the reference begin without an optional text. An empty field counts as left out."""
    is_free_text = member.get("type") == "string" and member.get("format") != "binary" and "enum" not in member
    return member | {"examples": [""]} if is_free_text and "default" not in member else member


def in_text(member: dict[str, Any]) -> dict[str, Any]:
    """Describe a member as a part of a form or of an address: a photo is a file, and null is not allowed."""
    if member.get("format") == "byte":
        return {"type": "string", "format": "binary", "description": "JPEG or PNG, at most 5 MB."}
    kinds: list[dict[str, Any]] = [kind for kind in member.get("anyOf", []) if kind != NULL]
    if len(kinds) != 1:
        return member
    return in_text(kinds[0]) | {name: member[name] for name in ("description",) if name in member}


class ErrorBody(WireModel):
    """The body of every refusal."""

    model_config = example(
        error=ErrorCode.NO_FACE,
        message="No face was found in the photo.",
        requestId="5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2",
    )

    error: ErrorCode
    message: str
    request_id: str
    reasons: list[str] = Field(
        default_factory=list,
        description="With `LOW_QUALITY`: the quality measures that are too low, worst first.",
    )


STATUS_MEANINGS: dict[int, str] = {
    400: "The request or its photo cannot be used",
    401: "No access token, or an invalid one",
    403: "The token lacks the permission",
    404: "Unknown, gone, or another tenant's",
    409: "The request contradicts the stored data",
    413: "Too many bytes",
    415: "The photo is not a JPEG or PNG, or the body has another content type",
    429: "Too many calls, see `Retry-After`",
    500: "The server failed unexpectedly; its log has the details under the request id",
    503: "Full or not ready, see `Retry-After`",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Give the ``responses`` of an endpoint that may refuse with these statuses."""
    return {status: {"model": ErrorBody, "description": _refusal(status)} for status in statuses}


def _refusal(status: int) -> str:
    """Describe a status by its meaning and its codes."""
    return f"{STATUS_MEANINGS[status]}: {', '.join(f'`{code}`' for code in codes_of(status))}"


PHOTO_ERRORS = error_responses(400, 401, 403, 413, 415, 429, 503)


def error_response(error: LikenessError, request_id: str) -> JSONResponse:
    """Make the reply to a refused call: the error's status and headers, and an ``ErrorBody``."""
    body: dict[str, Any] = {"error": error.code, "message": error.message, "requestId": request_id}
    if isinstance(error, LowQuality):
        body["reasons"] = list(error.reasons)
    return JSONResponse(body, error.status, error.headers)


def note_refusal(request: Request, error: LikenessError) -> None:
    """Note the code of a refusal for the call's line in the log, and drop its traceback.

    The traceback would keep the body and the photos until the next garbage collection.
    """
    error.__traceback__ = error.__cause__ = error.__context__ = None
    request.state.error = error.code


async def handle_likeness_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a call that raised a LikenessError, and note its code for the log."""
    assert isinstance(error, LikenessError)
    note_refusal(request, error)
    return error_response(error, request.state.request_id)


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _allowed(request: Request) -> str:
    """Give the methods of all routes that have the path of a refused request."""
    scopes = ({**request.scope, "method": method} for method in METHODS)
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [scope["method"] for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return ", ".join([*found, "HEAD"] if "GET" in found else found)


async def handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Answer the router's own refusals (unknown path, wrong method) in the contract's form."""
    assert isinstance(error, HTTPException)
    code = ErrorCode.NOT_FOUND if error.status_code == 404 else ErrorCode.BAD_REQUEST
    message = "There is no such call." if error.status_code == 404 else f"{error.detail}."
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request) or "GET, HEAD"  # a mounted path has files
    request.state.error = code
    body = {"error": code, "message": message, "requestId": request.state.request_id}
    return JSONResponse(body, error.status_code, headers)


def wrong_parameters(error: RequestValidationError) -> InvalidInput:
    """Give the refusal of parameters that FastAPI refused."""
    faults = error.errors()
    return InvalidInput("; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults))


async def handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer a call whose path, query or header parameters FastAPI refused."""
    assert isinstance(error, RequestValidationError)
    return await handle_likeness_error(request, wrong_parameters(error))
