"""Each way of writing a body has one result, the same on every call with a body. docs/api.md has the table."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from likeness.engine.fake import fake_photo
from likeness.gallery.schemas import InsertRequest, SearchRequest
from likeness.match.schemas import MatchRequest
from likeness.sessions.schemas import SessionRequest
from likeness.web.wire import WireModel
from servers import Api, Server, b64, calling

PHOTO = fake_photo(1)
MODELS: dict[str, type[WireModel]] = {
    "/api/v1/face/match": MatchRequest,
    "/api/v1/face/one-to-n/search": SearchRequest,
    "/api/v1/face/one-to-n/insert": InsertRequest,
    "/api/v1/face": SessionRequest,
}
CALLS = pytest.mark.parametrize("path", MODELS)
INSTEAD = "targetImage"
"""A photo that may be left out for another member, ``targetId``. Every body here has it."""
OPTIONAL = [
    (path, str(field.alias))
    for path, model in MODELS.items()
    for field in model.model_fields.values()
    if not field.is_required() and field.alias != INSTEAD
]
WHOLE = [(path, name) for path, name in OPTIONAL if name in {"minimumMatchLevel", "candidates", "maxAttempts"}]
SWITCHES = [
    (path, name) for path, name in OPTIONAL if name in {"insert", "activeLiveness", "returnDataForIncompleteSession"}
]


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    """Give one caller for all of these tests. No test leaves data that disturbs another."""
    with calling(server) as caller:
        yield caller


def photos(path: str) -> list[str]:
    fields = MODELS[path].model_fields.values()
    return [str(field.alias) for field in fields if field.is_required() or field.alias == INSTEAD]


def members(path: str, photo: str | None = None, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(photos(path), photo or b64(PHOTO)) | more


def form(api: Api, path: str, parts: list[tuple[str, bytes]], *, before: bytes = b"") -> httpx.Response:
    """Send a form literally: the ``Content-Disposition`` parameters and the content of each part."""
    body = b"".join(
        b"--X\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head.encode(), content) for head, content in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=X"}
    return api.call("POST", path, content=before + body + b"--X--\r\n", headers=headers)


def files(path: str) -> list[tuple[str, bytes]]:
    return [(f'name="{name}"; filename="photo.jpg"', PHOTO) for name in photos(path)]


def assert_taken(reply: httpx.Response) -> None:
    assert reply.status_code in {200, 201}, reply.text


def assert_refused(reply: httpx.Response, *, status: int = 400, about: str) -> None:
    assert reply.status_code == status, reply.text
    assert about in reply.json()["message"]


@pytest.mark.parametrize(("path", "name"), OPTIONAL)
def test_null_is_as_good_as_left_out(api: Api, path: str, name: str) -> None:
    assert_taken(api.call("POST", path, members(path) | {name: None}))


@CALLS
def test_null_for_a_photo_is_a_photo_left_out(api: Api, path: str) -> None:
    assert_refused(api.call("POST", path, dict.fromkeys(photos(path))), about="Field required")


@pytest.mark.parametrize(("path", "name"), OPTIONAL)
def test_an_empty_field_of_a_form_is_as_good_as_left_out(api: Api, path: str, name: str) -> None:
    assert_taken(form(api, path, [*files(path), (f'name="{name}"', b"")]))


@CALLS
def test_a_file_field_that_nobody_filled_is_left_out(api: Api, path: str) -> None:
    empty = [(f'name="{name}"; filename=""\r\nContent-Type: application/octet-stream', b"") for name in photos(path)]
    assert_refused(form(api, path, empty), about="Field required")


@pytest.mark.parametrize(("path", "name"), WHOLE)
@pytest.mark.parametrize("written", ["3.0", "30e-1"])
def test_a_whole_number_may_be_written_with_a_point(api: Api, path: str, name: str, written: str) -> None:
    body = json.dumps(members(path))[:-1] + f', "{name}": {written}}}'
    assert_taken(api.call("POST", path, content=body, headers={"Content-Type": "application/json"}))
    assert_taken(form(api, path, [*files(path), (f'name="{name}"', b"3.0")]))


@pytest.mark.parametrize(("path", "name"), WHOLE)
@pytest.mark.parametrize("value", ["3", 3.5, True, [3]])
def test_a_number_in_json_is_a_whole_number_and_no_text(api: Api, path: str, name: str, value: object) -> None:
    assert_refused(api.call("POST", path, members(path) | {name: value}), about=name)


@pytest.mark.parametrize(("path", "name"), SWITCHES)
def test_a_switch_in_json_is_true_or_false_and_in_a_form_its_text(api: Api, path: str, name: str) -> None:
    assert_refused(api.call("POST", path, members(path) | {name: "true"}), about=name)
    assert_taken(form(api, path, [*files(path), (f'name="{name}"', b"true")]))


@CALLS
@pytest.mark.parametrize("head", ["", "\r\nContent-Type: image/jpeg"])
def test_a_part_with_a_photo_needs_no_file_name(api: Api, path: str, head: str) -> None:
    assert_taken(form(api, path, [(f'name="{name}"{head}', PHOTO) for name in photos(path)]))


@CALLS
def test_a_part_without_a_file_name_may_be_base64(api: Api, path: str) -> None:
    text = b"data:image/jpeg;base64," + b64(PHOTO).encode()
    assert_taken(form(api, path, [(f'name="{name}"', text) for name in photos(path)]))


@CALLS
def test_a_preamble_is_passed_over(api: Api, path: str) -> None:
    assert_taken(form(api, path, files(path), before=b"This is a message in MIME format.\r\n"))


@CALLS
@pytest.mark.parametrize(
    "url", ["data:application/octet-stream;base64,", "DATA:Image/JPEG;charset=utf-8;name=a.jpg;Base64,"]
)
def test_a_data_url_may_have_any_type_case_and_parameters(api: Api, path: str, url: str) -> None:
    assert_taken(api.call("POST", path, members(path, url + b64(PHOTO))))


@CALLS
def test_base64url_is_refused(api: Api, path: str) -> None:
    assert {"+", "/"} & set(b64(PHOTO))
    urlsafe = b64(PHOTO).replace("+", "-").replace("/", "_")
    assert_refused(api.call("POST", path, members(path, urlsafe)), about="base64")


@CALLS
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=X"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br, identity"])
def test_a_compressed_body_is_415_that_says_so(api: Api, path: str, kind: str, encoding: str) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": encoding}
    body = gzip.compress(json.dumps(members(path)).encode())
    reply = api.call("POST", path, content=body, headers=headers)
    assert_refused(reply, status=415, about="Content-Encoding")
    assert reply.headers["accept-encoding"] == "identity"


@CALLS
def test_names_in_snake_case_are_unknown(api: Api, path: str) -> None:
    snake = {name: b64(PHOTO) for name, field in MODELS[path].model_fields.items() if field.is_required()}
    assert_refused(api.call("POST", path, snake), about="Field required")


@CALLS
def test_unknown_members_are_let_through(api: Api, path: str) -> None:
    assert_taken(api.call("POST", path, members(path, more=[1, {"a": None}], minimum_match_level="x")))


@CALLS
def test_a_name_may_be_given_once(api: Api, path: str) -> None:
    body = json.dumps(members(path))
    twice = body[:-1] + ", " + body[1:]
    assert_refused(api.call("POST", path, content=twice, headers={"Content-Type": "application/json"}), about="twice")
    assert_refused(form(api, path, files(path) * 2), about="twice")


@CALLS
def test_json_is_utf_8_with_or_without_a_mark(api: Api, path: str) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    body = json.dumps(members(path))
    assert_taken(api.call("POST", path, content=b"\xef\xbb\xbf" + body.encode(), headers=headers))
    assert_refused(api.call("POST", path, content=body.encode("utf-16"), headers=headers), about="UTF-8")


@CALLS
@pytest.mark.parametrize("member", [b'"x":[' + b"[]," * 4_600_000 + b"[]]", b'"x":' + b"9" * 6_000_000])
def test_a_body_of_brackets_or_digits_is_refused_unparsed(api: Api, path: str, member: bytes) -> None:
    body = json.dumps(members(path)).encode()[:-1] + b"," + member[:6_000_000] + b"}"
    reply = api.call("POST", path, content=body, headers={"Content-Type": "application/json"})
    assert_refused(reply, about="too many members")


def test_labels_in_a_form_are_held_to_the_same_structure(api: Api) -> None:
    path = "/api/v1/face/one-to-n/insert"
    assert_taken(form(api, path, [*files(path), ('name="metadata"\r\nContent-Type: application/json', b'{"a": "b"}')]))
    for labels in (b"[" * 100_000, b'{"a":' + b"[]," * 100_000, b'{"a": "' + b"a" * 40_000 + b'"}'):
        assert_refused(form(api, path, [*files(path), ('name="metadata"', labels)]), about="metadata")
