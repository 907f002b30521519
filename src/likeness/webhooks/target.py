"""A webhook's target: its address, its headers and the secret that signs deliveries."""

import base64
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from likeness.errors import InvalidInput
from likeness.tenants.service import Tenant
from likeness.webhooks.addresses import LOOPBACK_NAMES, is_public_name

TARGET_PURPOSE = "webhook target"
SECRET_PREFIX = "whsec_"  # noqa: S105  it marks secrets for scanners, and is none
_URL = re.compile(r"[\x21-\x7e]{1,2048}")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,2048}")
_OURS = {
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
    "user-agent",
    "expect",
    "te",
    "upgrade",
}


@dataclass(frozen=True, slots=True)
class Target:
    """An address, the headers that the receiver needs, and the secret that signs deliveries."""

    url: str
    headers: Mapping[str, str]
    secret: str

    @property
    def parts(self) -> SplitResult:
        return urlsplit(self.url)


def new_secret() -> str:
    """Make a random secret that signs deliveries."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def basic_header(user: str, password: str) -> str:
    """Give the value of an ``Authorization`` header for HTTP Basic (RFC 7617). Raises InvalidInput."""
    if ":" in user:
        raise InvalidInput("The user of HTTP Basic must have no colon.")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def check_target(target: Target, *, private_addresses: bool) -> Target:
    """Check a target, and give it back. Raises InvalidInput.

    The address must be https and public, unless the deployment's setting allows private addresses.
    """
    if not _URL.fullmatch(target.url):
        raise InvalidInput(
            "url: must be plain ASCII without spaces; write a name such as bücher.example as xn--bcher-kva.example."
        )
    try:
        parts = target.parts
        host = parts.hostname or ""
        host.encode("idna")  # the resolver does the same, and refuses labels that are empty or too long
        good = bool(host) and parts.port != 0 and parts.scheme in {"http", "https"}
    except ValueError:
        good = False
    if not good:
        raise InvalidInput("url: must be an address such as https://example.com/likeness.")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise InvalidInput("url: must hold neither credentials nor a fragment; credentials go into a header.")
    if not private_addresses and (parts.scheme != "https" or host in LOOPBACK_NAMES or not is_public_name(host)):
        raise InvalidInput(
            "url: must be https and public; LIKENESS_WEBHOOK_PRIVATE_ADDRESSES=true allows private addresses and http."
        )
    for name, value in target.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput(f"headers: {name!r} is not well-formed.")
        if name.lower() in _OURS or name.lower().startswith("likeness-"):
            raise InvalidInput(f"headers: {name!r} is set by the sender.")
    return target


def seal_target(tenant: Tenant, target: Target) -> bytes:
    """Seal the whole target, because its headers may be credentials."""
    fields = {"url": target.url, "headers": dict(target.headers), "secret": target.secret}
    return tenant.cipher.seal(json.dumps(fields).encode(), TARGET_PURPOSE, tenant.id)


def open_target(tenant: Tenant, sealed: bytes) -> Target:
    """Open a stored target. Raises SetupError if it was altered."""
    return Target(**json.loads(tenant.cipher.open(sealed, TARGET_PURPOSE, tenant.id)))
