"""The forms of the export. An auditor verifies JSON Lines with the public key alone."""

import hashlib
import json
import re
from functools import partial
from pathlib import Path

import jwt

from audit.trails import append, opened
from likeness.audit.actions import REFUSED, Action
from likeness.audit.actor import Actor
from likeness.audit.export import cef_lines, json_lines
from likeness.kit.clock import MovableClock

FIELDS = ("strand", "number", "time", "who", "tenant", "action", "object", "outcome", "request_id")


def test_anybody_can_verify_json_lines_with_the_public_key(tmp_path: Path) -> None:
    with opened(tmp_path) as deployment:
        for some in ("ab", "cde"):
            append(deployment, *some)
            deployment.seals.seal()
        lines = deployment.database.read_now(lambda c: list(map(json.loads, json_lines(c))))
        key = jwt.PyJWK(deployment.seals.signer.public_jwk).key
    records = [line for line in lines if line["kind"] == "record"]
    previous, covered = "", 0
    for seal in (line for line in lines if line["kind"] == "seal"):
        claims = jwt.decode(seal["jws"], key, ["EdDSA"])
        assert claims["previous"] == previous
        previous = hashlib.sha256(seal["jws"].encode()).hexdigest()
        for part in claims["ranges"]:
            mine = [
                each
                for each in records
                if each["strand"] == part["strand"] and part["first"] <= each["number"] <= part["last"]
            ]
            written = "".join(
                json.dumps([each[name] for name in FIELDS], separators=(",", ":")) + "\n" for each in mine
            )
            assert hashlib.sha256(written.encode()).hexdigest() == part["sha256"]
            covered += len(mine)
    assert covered == len(records) == 5


def test_an_export_can_begin_at_a_time(tmp_path: Path) -> None:
    clock = MovableClock()
    with opened(tmp_path, clock) as deployment:
        append(deployment, "a")
        clock.move(60)
        append(deployment, "b")
        since = partial(json_lines, since=clock.now())
        lines = deployment.database.read_now(lambda c: [json.loads(line) for line in since(c)])
    assert [line["object"] for line in lines] == ["b"]
    assert lines[0]["at"] == "2023-11-14T22:14:20.000+00:00"


def test_a_line_of_cef_is_escaped_and_leaves_out_what_is_empty(tmp_path: Path) -> None:
    with opened(tmp_path, MovableClock()) as deployment:
        deployment.trail.record(Action.SIGN_IN, None, outcome=REFUSED, actor=Actor("a=b|c\\d\ne", request_id="r"))
        append(deployment, "x")
        first, second = deployment.database.read_now(lambda c: sorted(cef_lines(c)))
    assert re.fullmatch(
        r"CEF:0\|Likeness\|Likeness\|[\d.]+\|erasure\|erasure\|3\|rt=1700000000000 suser=server outcome=done "
        r"externalId=\w{16}:2 cs1Label=tenant cs1=t cs2Label=object cs2=x",
        first,
    )
    assert "|sign-in|sign-in|6|rt=1700000000000 suser=a\\=b|c\\\\d\\ne outcome=refused externalId=" in second
    assert second.endswith(":1 cs3Label=requestId cs3=r")
    assert "tenant" not in second
