"""Two strict relying parties, written from the contract alone (§7): one in Python with PyJWT, one in Node with jose."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jwt

from lacking import skip_here

HERE = Path(__file__).parent
FUTURE_SECONDS = 60


class Refused(Exception):
    """The result is not what the contract promises."""


@dataclass(frozen=True)
class Expected:
    """What a relying party knows by its own configuration, and the session that it opened."""

    jwks: str
    issuer: str
    audience: str
    sessionId: str  # noqa: N815 - as the wire has it


RelyingParty = Callable[[str, Expected], dict[str, Any]]


def python_party(jws: str, expected: Expected) -> dict[str, Any]:
    """Raises Refused."""
    try:
        key = jwt.PyJWKClient(expected.jwks).get_signing_key_from_jwt(jws)
        claims = jwt.decode(
            jws,
            key,
            algorithms=["RS256"],
            issuer=expected.issuer,
            audience=expected.audience,
            options={"require": ["iss", "aud", "iat", "exp", "jti"], "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise Refused(repr(error)) from error
    data = claims["data"]
    if claims["iat"] > time.time() + FUTURE_SECONDS:
        raise Refused("iat is in the future")
    if data["sessionId"] != expected.sessionId:
        raise Refused("it is another session's")
    level = data["face"]["matchLevel"]
    if type(data["face"]["match"]) is not bool or isinstance(level, bool) or not isinstance(level, int | float):
        raise Refused("the match is malformed")
    return dict(claims)


def node_party(jws: str, expected: Expected) -> dict[str, Any]:
    """Raises Refused. Skips the test where Node or its packages are missing, but not in the project's check."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "jose").is_dir():
        skip_here("Node or its packages are missing (npm ci in tests/conformance)")
    asked = json.dumps({"jws": jws} | asdict(expected))
    done = subprocess.run(
        [node, "verify.mjs"], input=asked, cwd=HERE, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise Refused(done.stderr)
    return dict(json.loads(done.stdout))
