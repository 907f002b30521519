"""The console's pages: who may see what, what they say, and what they refuse."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.routing import APIRoute

from api.test_access import every_route
from console.visiting import SAME_SITE, Guest, account, secrets_of, visiting
from likeness.access.scopes import Scope
from likeness.administration.schemas import SessionSummary
from likeness.console.accounts.roles import Role
from likeness.console.rendering import HEADERS, LANGUAGES, texts
from likeness.console.requires import COOKIE, RequiresRole
from likeness.engine.fake import fake_photo
from likeness.errors import ErrorCode
from likeness.sessions.states import AttemptFailure, SessionState
from servers import Api, Server, calling
from session_endings import end, failure, opened, success

ALICE, BOB = fake_photo(1), fake_photo(2)
OPEN = {"/console/sign-in", "/console/language"}


def routes(server: Server) -> list[APIRoute]:
    found = [route for route in every_route(server.app.routes) if isinstance(route, APIRoute)]
    return [route for route in found if route.path.startswith("/console")]


def needed(route: APIRoute) -> Role | None:
    roles = [each.call.role for each in route.dependant.dependencies if isinstance(each.call, RequiresRole)]
    return roles[0] if roles else None


def photos(*people: bytes) -> dict[str, Any]:
    names = ("sourceImage", "targetImage") if len(people) == 2 else ("idPhoto",)
    return {name: ("photo", person) for name, person in zip(names, people, strict=True)}


def test_every_page_needs_a_visit_and_leads_to_the_sign_in(server: Server) -> None:
    assert {route.path for route in routes(server) if needed(route) is None} == OPEN
    guarded = [route for route in routes(server) if route.path not in OPEN]
    assert len(guarded) >= 18
    with httpx.Client(base_url=server.url) as http:
        for route in guarded:
            for method in route.methods:
                for token in ("", "invented"):
                    reply = Guest(http, token).ask(method, re.sub(r"\{\w+\}", "x", route.path))
                    assert reply.status_code == 303, route.path
                    assert reply.headers["location"].startswith("/console/sign-in?next=%2Fconsole")


def test_after_a_change_a_visitor_comes_back_to_a_page(api: Api) -> None:
    with visiting(api, Role.ADMINISTRATOR) as guest:
        for path in ("try/match", "gallery/search", "sign-out", f"clients/{api.client_id}/disable"):
            reply = Guest(guest.http, "ended").post(f"/console/{path}")
            following = parse_qs(urlsplit(reply.headers["location"]).query)["next"][0]
            assert guest.get(following).status_code == 200, path
        shown = guest.post(f"/console/clients/{api.client_id}/rotate").text
        (following,) = re.findall(r'name="next" value="([^"]*)"', shown)
        assert guest.get(following).status_code == 200


@pytest.mark.parametrize("role", list(Role))
def test_a_role_opens_what_it_includes_and_nothing_else(api: Api, role: Role) -> None:
    with visiting(api, role) as guest:
        for route in routes(api.server):
            wanted = needed(route)
            if wanted is None or route.path == "/console/sign-out":
                continue
            for method in route.methods:
                reply = guest.ask(method, re.sub(r"\{\w+\}", "x", route.path))
                assert (reply.status_code == 403) == (not role.includes(wanted)), (method, route.path, reply.text)
        page = guest.get("/console/try").text
        assert ("/console/gallery" in page) == (role is not Role.VIEWER)
        assert ("/console/audit" in page) == (role is Role.ADMINISTRATOR)


def test_a_change_from_another_site_is_refused(api: Api) -> None:
    with visiting(api, Role.ADMINISTRATOR) as guest:
        host = api.server.url.removeprefix("http://")
        refused: list[dict[str, str]] = [
            {},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": f"http://{host}"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ]
        for route in routes(api.server):
            if "POST" in (route.methods or ()):
                path = re.sub(r"\{\w+\}", "x", route.path)
                for headers in refused:
                    assert guest.ask("POST", path, headers=headers).status_code == 403, (path, headers)
        assert guest.ask("POST", "/console/language", headers={"Origin": f"http://{host}"}).status_code == 303


def test_a_sign_in_sets_a_cookie_that_no_script_and_no_other_site_gets(api: Api) -> None:
    with httpx.Client(base_url=api.server.url) as http:
        guest = Guest(http)
        form = secrets_of(api.server, account(api, Role.VIEWER))
        wrong = guest.post("/console/sign-in", data=form | {"code": "000000", "next": "/console/usage"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        assert 'value="/console/usage"' in wrong.text
        assert form["password"] not in wrong.text
        right = guest.post("/console/sign-in", data=form | {"next": "https://evil.example/"})
        assert right.headers["location"] == "/console/try"
        cookie = right.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        guest.token = right.cookies[COOKIE]
        assert guest.get("/console/usage").status_code == 200
        ended = guest.post("/console/sign-out").headers
        assert (ended["location"], ended["clear-site-data"]) == ("/console/sign-in", '"cache"')
        assert guest.get("/console/usage").status_code == 303


def test_a_sign_in_ends_the_visit_before_it(api: Api) -> None:
    with visiting(api, Role.VIEWER) as guest:
        before = guest.token
        reply = guest.post("/console/sign-in", data=secrets_of(api.server, account(api, Role.VIEWER)))
        assert reply.cookies[COOKIE] != before
        assert guest.get("/console/usage").status_code == 303
        guest.token = reply.cookies[COOKIE]
        assert guest.get("/console/usage").status_code == 200


def test_the_sign_in_helps_managers_of_passwords(server: Server) -> None:
    page = httpx.get(f"{server.url}/console/sign-in").text
    (password,) = re.findall(r'<input name="password"[^>]*>', page)
    assert 'type="password"' in password
    assert 'autocomplete="current-password"' in password
    assert 'autocomplete="one-time-code"' in page
    script = httpx.get(f"{server.url}/static/console/console.js").text
    assert "paste" not in page + script


def test_every_page_has_the_sign_out(api: Api) -> None:
    with visiting(api, Role.ADMINISTRATOR) as guest:
        for name in ("try", "sessions", "gallery", "clients", "usage", "audit", "models"):
            assert 'action="/console/sign-out"' in guest.get(f"/console/{name}").text, name


@pytest.mark.parametrize("path", ["//evil.example", "/console/..\\x", "/console/x\ny", "/elsewhere", "javascript:1"])
def test_the_way_on_stays_in_the_console(server: Server, path: str) -> None:
    reply = httpx.post(f"{server.url}/console/language", data={"next": path, "language": "ar"}, headers=SAME_SITE)
    assert reply.headers["location"] == "/console/try"


@pytest.mark.parametrize("path", ["usage?span=year", "gallery?cursor=x", "audit?cursor=x"])
def test_a_wrong_address_is_refused_with_a_page(api: Api, path: str) -> None:
    with visiting(api, Role.ADMINISTRATOR) as guest:
        reply = guest.get(f"/console/{path}")
        assert (reply.status_code, reply.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert ErrorCode.INVALID_INPUT in reply.text
    with httpx.Client(base_url=api.server.url) as http:
        assert Guest(http).get(f"/console/{path}").status_code == 303


def test_guessing_is_slowed_down(own_server: Server) -> None:
    with calling(own_server) as api, httpx.Client(base_url=own_server.url) as http:
        form = secrets_of(own_server, account(api, Role.VIEWER)) | {"password": "guess"}
        statuses = [Guest(http).post("/console/sign-in", data=form).status_code for _ in range(6)]
        assert statuses == [401] * 5 + [429]


def test_each_page_is_sealed_off_and_small(api: Api) -> None:
    api.insert(ALICE, externalId="<script>alert(1)</script>", metadata={"<b>": "<i>"})
    session = opened(api)
    end(api.server, session, failure())
    with visiting(api, Role.ADMINISTRATOR) as guest:
        entry = re.findall(r"/console/gallery/([0-9a-f-]{36})", guest.get("/console/gallery").text)[0]
        pages = ["try", "sessions", f"sessions/{session}", "gallery", f"gallery/{entry}", "clients", "usage", "audit"]
        for name in [*pages, "models"]:
            reply = guest.get(f"/console/{name}")
            assert reply.status_code == 200, name
            assert reply.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
            assert "<script>alert" not in reply.text
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", reply.text), name
            links = re.findall(r'(?:href|src|action)="([^"]*)"', reply.text)
            assert all(link.startswith(("/", "#", "data:,")) for link in links), links
            size = len(reply.content)
            for link in {link for link in links if link.startswith("/static/")}:
                size += len(httpx.get(f"{api.server.url}{link}").content)
            assert size < 300_000
    assert "'self'" in HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_two_photos_are_compared(api: Api) -> None:
    with visiting(api, Role.VIEWER) as guest:
        same = guest.post("/console/try/match", files=photos(ALICE, ALICE))
        assert "Same person" in same.text
        assert same.text.count("data-places=") == 2
        assert "minimumMatchLevel=3" in same.text
        other = guest.post("/console/try/match", files=photos(ALICE, BOB), data={"minimumMatchLevel": "1"})
        assert "Not shown to be the same person" in other.text
        dim = guest.post("/console/try/match", files=photos(ALICE, fake_photo(1, dim=True)))
        assert dim.status_code == 400
        assert "UnderExposurePrevention" in dim.text
        none = guest.post("/console/try/match", files=photos(ALICE, fake_photo(1, faces=0)))
        assert "No face was found" in none.text


def test_the_gallery_is_searched_read_and_emptied(api: Api) -> None:
    grounds: dict[str, Any] = {"consentReference": "consent-7", "purpose": "opening an account"}
    entry = api.insert(ALICE, externalId="customer-1", **grounds).json()["oneToNVerificationId"]
    for person in range(10, 13):
        api.insert(fake_photo(person))
    with visiting(api, Role.ADMINISTRATOR) as guest:
        assert "customer-1" in guest.get("/console/gallery?reference=customer-1").text
        assert "customer-1" not in guest.get("/console/gallery?reference=customer-2").text
        found = guest.post("/console/gallery/search", files=photos(ALICE)).text
        assert "A likely match" in found
        assert found.count('<li class="here">') == 1
        assert "These are candidates" in found
        assert "Not found" in guest.post("/console/gallery/search", files=photos(BOB)).text
        page = guest.get(f"/console/gallery/{entry}").text
        assert all(text in page for text in grounds.values())
        hold = f"/api/v1/admin/entries/{entry}/legal-hold"
        assert api.call("PUT", hold, {"reference": "case-17"}).status_code == 200
        held = guest.get(f"/console/gallery/{entry}").text
        assert ("case-17" in held, "/erase" in held, "/erase" in page) == (True, False, True)
        assert guest.post(f"/console/gallery/{entry}/erase").status_code == 409
        assert api.call("DELETE", hold).status_code == 204
        shown = guest.get(f"/console/gallery/{entry}/photo")
        assert (shown.content, shown.headers["content-type"]) == (ALICE, "image/jpeg")
        assert guest.post(f"/console/gallery/{entry}/delete-photo").status_code == 303
        assert guest.get(f"/console/gallery/{entry}/photo").status_code == 404
        assert guest.post(f"/console/gallery/{entry}/erase").headers["location"] == "/console/gallery"
        assert guest.get(f"/console/gallery/{entry}").status_code == 404
        assert api.call("GET", f"/api/v1/face/one-to-n/{entry}").status_code == 404
        trail = guest.get("/console/audit").text
        assert trail.count(f"<code>{entry}</code>") >= 4  # the enrolment, the view, the deletion, the erasure
        assert "photo view" in trail


def test_a_client_is_made_used_and_disabled(api: Api) -> None:
    with visiting(api, Role.ADMINISTRATOR) as guest:
        made = guest.post("/console/clients", data={"name": "shop", "scope": [Scope.FACE_MATCH], "days": "30"}).text
        client_id, secret = re.findall(r"<dd dir=\"ltr\"><code>([^<]+)</code>", made)
        assert secret not in guest.get("/console/clients").text

        def token(given: str) -> httpx.Response:
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": given}
            return api.http.post("/api/oauth/token", data=form)

        assert token(secret).json()["scope"] == Scope.FACE_MATCH
        renewed = guest.post(f"/console/clients/{client_id}/rotate").text
        _, new = re.findall(r"<dd dir=\"ltr\"><code>([^<]+)</code>", renewed)
        assert token(secret).status_code == token(new).status_code == 200
        assert guest.post(f"/console/clients/{client_id}/disable").status_code == 303
        assert token(new).status_code == 401
        assert guest.post("/console/clients", data={"name": "shop"}).status_code == 400


def test_a_session_is_explained(api: Api) -> None:
    lost, won = opened(api), opened(api)
    signal = {"name": "parallax", "score": 0.2, "threshold": 0.5, "passed": False, "reason": "flat", "required": True}
    end(api.server, lost, failure(liveness={"live": False, "signals": [signal]}))
    end(api.server, won, success())
    with visiting(api, Role.REVIEWER) as guest:
        page = guest.get(f"/console/sessions/{lost}").text
        assert "parallax" in page
        assert "Signature verified" in page
        assert "TOO_MANY_ATTEMPTS" in page
        (image,) = re.findall(r"/console/sessions/images/[0-9a-f]{24}", guest.get(f"/console/sessions/{won}").text)
        assert guest.get(image).headers["content-type"] == "image/jpeg"
        assert guest.get("/console/sessions/x").status_code == 404
    with visiting(api, Role.VIEWER) as viewer:
        assert "images/" not in viewer.get(f"/console/sessions/{won}").text


def test_a_tenant_sees_nothing_of_another(server: Server) -> None:
    with calling(server) as mine, calling(server) as other:
        entry = other.insert(ALICE, externalId="secret").json()["oneToNVerificationId"]
        session = opened(other)
        end(server, session, success())
        with visiting(other, Role.ADMINISTRATOR) as owner:
            (image,) = re.findall(r"images/([0-9a-f]{24})", owner.get(f"/console/sessions/{session}").text)
        ids = {"entry_id": entry, "session_id": session, "client_id": other.client_id, "image_id": image}
        with visiting(mine, Role.ADMINISTRATOR) as guest:
            for route in routes(server):
                for method in route.methods or ():
                    path = re.sub(r"\{(\w+)\}", lambda named: ids[named[1]], route.path)
                    if path in {"/console/sign-in", "/console/sign-out"}:
                        continue
                    reply = guest.ask(method, path)
                    assert (reply.status_code == 404) or "{" not in route.path, (method, path)
                    assert not [each for each in (*ids.values(), other.tenant.id) if each in reply.text], path
            assert "Not found" in guest.post("/console/gallery/search", files=photos(ALICE)).text
        assert other.call("GET", f"/api/v1/face/one-to-n/{entry}").json()["imageStored"] is True


def test_every_text_is_in_every_language() -> None:
    names = {language: set(texts(language)) for language in LANGUAGES}
    assert names["en"] == names["ar"]
    assert not [name for name in names["en"] if hasattr(dict, name)]  # the pages would get the method
    assert all(text.strip() for language in LANGUAGES for text in texts(language).values())


def test_every_word_of_the_wire_has_a_text() -> None:
    known = set(texts("en"))
    assert {f"state_{state}" for state in SessionState} | {f"why_{state}" for state in SessionState} <= known
    assert {f"{kind}_{code}" for code in AttemptFailure for kind in ("failure", "why")} <= known
    assert {f"scope_{scope}" for scope in Scope} | {f"role_{role}" for role in Role} <= known
    assert {f"level_{level}" for level in range(6)} | {f"meaning_{level}" for level in range(1, 6)} <= known
    assert {name.removeprefix("error_") for name in known if name.startswith("error_")} <= set(ErrorCode)
    assert SessionSummary.model_fields["state"].annotation is SessionState


def test_the_language_is_the_chosen_one_then_the_browsers(server: Server) -> None:
    address = f"{server.url}/console/sign-in"
    assert '<html lang="en" dir="ltr">' in httpx.get(address).text
    arabic = {"Accept-Language": "fr, ar-EG;q=0.8, en;q=0.5"}
    assert '<html lang="ar" dir="rtl">' in httpx.get(address, headers=arabic).text
    chosen = httpx.post(f"{server.url}/console/language", data={"language": "en"}, headers=SAME_SITE)
    cookie, *attributes = chosen.headers["set-cookie"].split("; ")
    assert cookie == "__Host-language=en"
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(attributes)
    assert '<html lang="en"' in httpx.get(address, headers={**arabic, "Cookie": cookie}).text
