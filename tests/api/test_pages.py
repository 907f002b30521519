"""The pages at the server's address: their links work, and files of others on them are pinned."""

import hashlib
import json
import re
from importlib.resources import files

import httpx
import pytest

from servers import Server

STATIC = files("likeness") / "static" / "documentation"
SWAGGER_UI = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
}
"""SHA-256 of the files of npm's swagger-ui-dist 5.35.0, with its licences."""


def test_what_is_taken_from_others_is_pinned() -> None:
    folder = STATIC / "swagger-ui-5.35.0"
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} == SWAGGER_UI


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_every_link_of_a_page_leads_somewhere_on_this_server(server: Server, path: str) -> None:
    page = httpx.get(f"{server.url}{path}")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    links.remove("data:,")
    assert links
    for link in links:
        assert link.startswith("/")
        assert httpx.get(f"{server.url}{link}").status_code == 200, link


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_has_nothing_that_its_policy_forbids(server: Server, path: str) -> None:
    page = httpx.get(f"{server.url}{path}")
    assert "script-src 'self'; style-src 'self'; connect-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", page.text)


def test_the_way_in_names_the_public_address(server: Server) -> None:
    assert f"curl -sS {server.url}/api/v1/face" in httpx.get(server.url).text


def test_the_description_is_sent_in_bytes_that_are_made_once(server: Server) -> None:
    first, second = (httpx.get(f"{server.url}/openapi.json") for _ in range(2))
    assert first.headers["content-type"] == "application/json"
    assert first.content == second.content
    assert first.json() == json.loads(json.dumps(server.app.openapi()))


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect"])
def test_the_frameworks_own_pages_are_gone(server: Server, path: str) -> None:
    assert httpx.get(f"{server.url}{path}").status_code == 404
