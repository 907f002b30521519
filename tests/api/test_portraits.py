"""Photos of documents over real HTTP: the member ``source``, and the cut portrait."""

import asyncio
import base64
from contextlib import closing
from typing import Any

import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import FakeEngine, FakePerson, fake_photo, fake_scene
from likeness.engine.policy import FacePolicy
from likeness.gallery.repository import GalleryRepository
from likeness.store.images import ImageStore
from likeness.tenants.schemas import TenantSettings
from servers import Api, b64, calling

CARD = fake_scene([FakePerson(1, (0.25, 0.5), 0.4), FakePerson(1, (0.8, 0.6), 0.32)])
TWINS = fake_scene([FakePerson(1, (0.25, 0.5), 0.4), FakePerson(2, (0.75, 0.5), 0.39)])
SELFIE = fake_photo(1, variation=1)
DOCUMENT: dict[str, Any] = {"source": "ID_DOCUMENT"}


def code(reply: Any) -> str:
    assert reply.status_code == 400, reply.text
    return str(reply.json()["error"])


def test_a_document_is_matched_by_its_main_portrait(api: Api) -> None:
    assert code(api.match(CARD, SELFIE)) == "MULTIPLE_FACES"
    body = api.match(CARD, SELFIE, **DOCUMENT).json()
    assert body["match"] is True
    assert body["source"]["box"]["x"] < 200
    assert code(api.match(SELFIE, CARD, **DOCUMENT)) == "MULTIPLE_FACES"  # the source is that of the first photo
    assert code(api.match(TWINS, SELFIE, **DOCUMENT)) == "MULTIPLE_FACES"
    assert code(api.match(CARD, SELFIE, source="PASSPORT")) == "INVALID_INPUT"


@pytest.mark.parametrize("source", ["SELFIE", "CHIP", None])
def test_a_single_face_is_matched_whatever_its_source(api: Api, source: str | None) -> None:
    assert api.match(fake_photo(1), SELFIE, source=source).json()["match"] is True


def test_a_tenant_that_wants_one_face_may_send_documents(api: Api) -> None:
    with calling(api.server, settings=TenantSettings(face_policy="single")) as strict:
        assert code(strict.match(CARD, SELFIE, source="CHIP")) == "MULTIPLE_FACES"
        assert strict.match(CARD, SELFIE, **DOCUMENT).json()["match"] is True
        entry = strict.insert(CARD, **DOCUMENT).json()["oneToNVerificationId"]
        assert strict.search(SELFIE).json()["oneToNVerificationId"] == entry


def test_of_an_enrolled_document_only_the_portrait_is_stored(api: Api) -> None:
    assert code(api.insert(CARD)) == "MULTIPLE_FACES"
    twice = [
        api.insert(CARD, **DOCUMENT, headers={"Idempotency-Key": "once"}).json()["oneToNVerificationId"]
        for _ in range(2)
    ]
    assert twice[0] == twice[1]
    assert api.search(CARD, **DOCUMENT).json()["oneToNVerificationId"] == twice[0]
    entry = api.server.deployment.database.read_now(lambda c: GalleryRepository(api.tenant.id).find(c, twice[0]))
    assert entry is not None
    assert entry.image_id is not None
    with closing(ImageStore(api.server.deployment.settings.images_address)) as images:
        stored = asyncio.run(images.get(api.tenant.id, entry.image_id, api.tenant.cipher))
    assert stored is not None
    subject = FakeEngine().locate(stored, policy=FacePolicy.SINGLE)
    assert subject.photo_size[1] > subject.photo_size[0]


def test_a_session_opens_with_a_document(api: Api) -> None:
    assert code(api.open_session(CARD)) == "MULTIPLE_FACES"
    assert api.open_session(CARD, **DOCUMENT).status_code == 201


def test_the_portrait_of_a_document_is_cut(api: Api) -> None:
    body = api.call("POST", "/api/v1/face/portrait", {"idPhoto": b64(CARD)}).json()
    assert body["height"] == round(body["width"] * 4 / 3)
    assert body["box"]["x"] < 200
    assert body["quality"]["score"] > 0
    assert body["reasons"] == []
    portrait = base64.b64decode(body["portrait"])
    assert portrait.startswith(b"\xff\xd8")
    assert api.match(portrait, SELFIE).json()["match"] is True
    dim = api.call("POST", "/api/v1/face/portrait", {"idPhoto": b64(fake_photo(1, dim=True))}).json()
    assert dim["reasons"] == ["UnderExposurePrevention"]


def test_a_photo_without_a_portrait_is_refused(api: Api) -> None:
    for photo, error in ((fake_photo(1, faces=0), "NO_FACE"), (TWINS, "MULTIPLE_FACES"), (b"GIF89a", None)):
        reply = api.call("POST", "/api/v1/face/portrait", {"idPhoto": b64(photo)})
        if error:
            assert code(reply) == error
        else:
            assert reply.status_code == 415


def test_the_portrait_needs_the_permission_to_match(api: Api) -> None:
    headers = api.with_scopes(Scope.FACE_SEARCH)
    assert api.call("POST", "/api/v1/face/portrait", {"idPhoto": b64(CARD)}, headers=headers).status_code == 403
