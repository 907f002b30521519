"""The description of the API (OpenAPI 3.1): FastAPI's description of the routes, and what holds for every call.

It suits client generators: short operation ids, a named schema for each kind of body, and every status of a call.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from likeness.access.requires import Requires
from likeness.access.scopes import Scope
from likeness.errors import codes_of
from likeness.web.http import STATUS_MEANINGS, error_responses, in_text
from likeness.web.request_context import REQUEST_ID

Document = dict[str, Any]

DESCRIPTION = (
    "Get a token with a client's id and secret, and send it with every other call. "
    "Photos are JPEG or PNG, at most 5 MB."
)
SCOPES = {
    Scope.FACE_FLOW: "Open face sessions and read their results",
    Scope.FACE_MATCH: "Compare two photos",
    Scope.FACE_SEARCH: "Search and read the gallery",
    Scope.FACE_INSERT: "Enrol people",
    Scope.FACE_DELETE: "Delete photos and entries",
    Scope.INFO_SDK: "Read and purge results and audit images",
    Scope.ADMIN: "Administer the tenant",
}
SECURITY_SCHEMES = {
    "oauth2": {
        "type": "oauth2",
        "description": "OAuth 2.0 client credentials (RFC 6749 section 4.4).",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/api/oauth/token",
                "scopes": {str(scope): meaning for scope, meaning in SCOPES.items()},
            }
        },
    },
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The access token."},
}
HEADERS = {
    "RequestId": {
        "description": "The call's id: from the request, or a new one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "RateLimitPolicy": {
        "description": "The limit that is used up, and what it allows: `client`, `tenant` (calls in `w` seconds), or "
        "`calls-at-once`.",
        "schema": {"type": "string"},
        "example": '"client";q=30000;w=60',
    },
    "RateLimit": {
        "description": "What is left of the limit, and the seconds until there is more.",
        "schema": {"type": "string"},
        "example": '"client";r=0;t=1',
    },
    "Authenticate": {
        "description": "The scheme to authenticate with (RFC 9110 section 11.6.1).",
        "required": True,
        "schema": {"type": "string"},
    },
}
PARAMETERS = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "required": False,
        "description": "Your own id of the call. The answer and the server's log have it.",
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID.pattern}$"},
    }
}
HEADERS_BY_STATUS = {
    "401": {"WWW-Authenticate": "Authenticate"},
    "429": {"Retry-After": "RetryAfter", "RateLimit-Policy": "RateLimitPolicy", "RateLimit": "RateLimit"},
    "503": {"Retry-After": "RetryAfter"},
}
SCORED = ("Candidate", "MatchReply", "SearchReply")
"""The answers with the score of a comparison, and what is in them."""
NOT_FOR_ALL = "Left out for a client whose setting `scores` is `level`."
ERROR_BODY = {"$ref": "#/components/schemas/ErrorBody"}
EXAMPLE_REQUEST_ID = "5f0c3c9e-3f0e-4a53-9a55-0f3ad2f8f1c2"
SESSION_ENDED = {
    "post": {
        "operationId": "sessionEnded",
        "summary": "A face session has ended",
        "description": "Posted to the tenant's webhook when a session ends. The server repeats it for two hours until "
        "the answer is 2xx.",
        "tags": ["result"],
        "security": [],
        "parameters": [
            {
                "name": "Likeness-Delivery",
                "in": "header",
                "required": True,
                "description": "The delivery's id, the same at every try.",
                "schema": {"type": "string", "format": "uuid"},
            },
            {
                "name": "Likeness-Signature",
                "in": "header",
                "required": True,
                "description": "`v1` is HMAC-SHA-256, under the webhook's secret, of `<t>.<body>`.",
                "schema": {"type": "string", "pattern": "^t=[0-9]+,v1=[0-9a-f]{64}$"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SessionEnded"}}},
        },
        "responses": {"2XX": {"description": "The delivery is accepted."}},
    }
}
SESSION_ENDED_BODY = {
    "type": "object",
    "description": "The signed result of a face session.",
    "required": ["jwsResult"],
    "properties": {"jwsResult": {"type": "string", "description": "JWS in compact form, as the info calls give it."}},
}


def describer(app: FastAPI, *, origin: str) -> Callable[[], Document]:
    """Give a function for ``app.openapi``. It describes the application at its first call, and keeps the result."""

    def describe() -> Document:
        described = app.openapi_schema or _describe(app, origin)
        app.openapi_schema = described
        return described

    return describe


def _describe(app: FastAPI, origin: str) -> Document:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": origin}],
    )
    wanted = {(route.path, method): _scopes(route) for route in _calls(app.routes) for method in route.methods or ()}
    components = document["components"]
    schemas = components["schemas"]
    schemas["SessionEnded"] = SESSION_ENDED_BODY
    for path, call in ((path, call) for path, calls in document["paths"].items() for call in calls.items()):
        method, operation = call
        scopes = wanted[path, method.upper()]
        operation["security"] = [{"oauth2": [scope]} for scope in scopes] + [{"bearer": []}] if scopes else []
        for parameter in operation.get("parameters", []):
            parameter["schema"] = in_text(parameter["schema"])
            parameter["schema"].pop("description", None)  # the parameter has it
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/RequestId"})
        _complete_responses(operation["responses"])
        for content in operation.get("requestBody", {}).get("content", {}).values():
            _name_schema(content, schemas)
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own: refusals have the contract's shape
        schemas.pop(unused, None)
    for scored in SCORED:
        schemas[scored]["required"].remove("score")
        score = schemas[scored]["properties"]["score"]
        score["description"] = f"{score.get('description', 'Cosine, 4 decimals.')} {NOT_FOR_ALL}"
    components["securitySchemes"] = SECURITY_SCHEMES
    components["headers"] = HEADERS
    components["parameters"] = PARAMETERS
    document["webhooks"] = {"sessionEnded": SESSION_ENDED}
    described: Document = _without_titles(document)
    return described


def _calls(routes: Sequence[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from _calls(router.routes)
        elif isinstance(route, APIRoute):
            yield route


def _scopes(route: APIRoute) -> list[str]:
    """Give the permissions of a call, which needs one of them. A public call has none."""
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        if isinstance(dependant.call, Requires):
            return [str(scope) for scope in dependant.call.any_of]
        waiting.extend(dependant.dependencies)
    return []


def _complete_responses(responses: Document) -> None:
    responses.pop("422", None)
    (fault,) = error_responses(500).values()
    responses["500"] = {
        "description": fault["description"],
        "content": {"application/json": {"schema": ERROR_BODY}},
    }
    for status, response in responses.items():
        named = {"X-Request-Id": "RequestId"} | HEADERS_BY_STATUS.get(status, {})
        response["headers"] = {
            name: {"$ref": f"#/components/headers/{header}"} for name, header in named.items()
        } | response.get("headers", {})
        for content in response.get("content", {}).values():
            if content.get("schema") == ERROR_BODY and status != "400":
                # The schema's example is about a photo. This one fits the status.
                code, meaning = codes_of(int(status))[0], STATUS_MEANINGS[int(status)]
                content["example"] = {"error": code, "message": f"{meaning}.", "requestId": EXAMPLE_REQUEST_ID}


def _name_schema(content: Document, schemas: Document) -> None:
    """Move a body's schema to the named ones, so that generators make one class of it."""
    schema = content["schema"]
    if "title" in schema:
        schemas.update(schema.pop("$defs", {}))
        name = schema.pop("title")
        schemas[name] = schema
        content["schema"] = {"$ref": f"#/components/schemas/{name}"}


def _without_titles(part: Any) -> Any:
    """Remove the titles that FastAPI makes from names, such as "Sourceimage"."""
    if isinstance(part, dict):
        is_schema = "properties" in part or "type" in part or "anyOf" in part or "$ref" in part or "enum" in part
        return {
            name: _without_titles(value)
            for name, value in part.items()
            if not (name == "title" and is_schema and isinstance(value, str))
        }
    return [_without_titles(each) for each in part] if isinstance(part, list) else part
