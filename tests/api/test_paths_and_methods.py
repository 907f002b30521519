"""The server makes no redirect from a caller's input. HEAD works wherever GET does. ``Allow`` has all methods."""

from itertools import product

import httpx

from likeness.errors import ErrorCode
from likeness.web.http import METHODS
from servers import Server

ID = "00000000-0000-4000-8000-000000000000"


def calls(server: Server) -> dict[str, set[str]]:
    """Give the path of each call, with ids filled in, and its methods."""
    described = server.app.openapi()["paths"]
    paths: dict[str, set[str]] = {}
    for path, methods in described.items():
        plain = path.replace("{entry_id}", ID).replace("{session_id}", ID).replace("{image_id}", ID)
        paths[plain] = {method.upper() for method in methods}
    return paths


def test_no_call_redirects_a_trailing_slash_to_the_callers_host(server: Server) -> None:
    refusals = {"evil.example": (400, ErrorCode.BAD_REQUEST), "localhost": (404, ErrorCode.NOT_FOUND)}
    with httpx.Client(base_url=server.url) as http:
        for path, methods in calls(server).items():
            for method, host in product(methods, refusals):
                reply = http.request(method, f"{path}/", headers={"Host": host})
                assert (reply.status_code, reply.json()["error"]) == refusals[host], (method, path)
                assert "location" not in reply.headers


def test_every_call_that_can_be_got_has_a_head(server: Server) -> None:
    got = [path for path, methods in calls(server).items() if "GET" in methods]
    assert "/healthz" in got
    with httpx.Client(base_url=server.url) as http:
        for path in [*got, f"/capture/{ID}", "/", "/docs", "/openapi.json", "/static/capture/page.html"]:
            full, head = (http.request(method, path) for method in ("GET", "HEAD"))
            assert (head.status_code, head.content) == (full.status_code, b""), path
            for name in ("content-type", "allow"):
                assert head.headers.get(name) == full.headers.get(name), path


def test_what_is_only_posted_has_no_head(server: Server) -> None:
    reply = httpx.head(f"{server.url}/api/v1/face/match")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


def test_a_wrong_method_is_answered_with_all_right_ones(server: Server) -> None:
    with httpx.Client(base_url=server.url) as http:
        for path, methods in calls(server).items():
            check_methods(http, path, methods)


def check_methods(http: httpx.Client, path: str, methods: set[str]) -> None:
    answers = {method: http.request(method, path) for method in (*METHODS, "HEAD", "OPTIONS")}
    wrong = [reply for reply in answers.values() if reply.status_code == 405]
    right = {method for method, reply in answers.items() if reply.status_code != 405}
    assert methods <= right, path
    assert wrong, path
    assert all(set(reply.headers["allow"].split(", ")) == right for reply in wrong), path
