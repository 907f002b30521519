"""What the server believes of a caller, and from whom."""

import base64
import datetime as dt
import hashlib
from ipaddress import ip_address
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from likeness.web.proxies import Caller, Proxies, thumbprint_of


def certificate() -> x509.Certificate:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank")])
    now = dt.datetime.now(dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return made.sign(key, hashes.SHA256())


BANK = certificate()
PEM = BANK.public_bytes(Encoding.PEM).decode()
DER = BANK.public_bytes(Encoding.DER)
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(DER).digest()).rstrip(b"=").decode()
BELIEVING = Proxies("10.9.0.0/16,127.0.0.1/32,fd00::/8", "X-Client-Cert")


def request(peer: str | None, **headers: str | list[str]) -> HTTPConnection:
    lists = {name: [given] if isinstance(given, str) else given for name, given in headers.items()}
    pairs = [(name.replace("_", "-").encode(), each.encode()) for name, given in lists.items() for each in given]
    return HTTPConnection({"type": "http", "headers": pairs, "client": None if peer is None else (peer, 5)})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.1"], "10.0.0.1"),
        ("::ffff:127.0.0.1", ["10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", ["10.0.0.1:4711"], "10.0.0.1"),
        ("127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("127.0.0.1", ["203.0.113.9, 10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", ["203.0.113.9", "10.0.0.1"], "10.0.0.1"),
        ("127.0.0.1", ["203.0.113.9, 10.0.0.1, 10.9.0.1, fd00::1"], "10.0.0.1"),
        ("127.0.0.1", ["10.9.0.2, 10.9.0.1"], "10.9.0.2"),
        ("127.0.0.1", ["10.0.0.1, somebody"], None),
        ("127.0.0.1", ["10.0.0.1, unknown, 10.9.0.1"], None),
        (None, ["10.0.0.1"], None),
        ("/run/socket", ["10.0.0.1"], None),
    ],
)
def test_the_callers_address(peer: str | None, forwarded: list[str], address: str | None) -> None:
    expected = None if address is None else ip_address(address)
    assert BELIEVING.caller(request(peer, x_forwarded_for=forwarded)).address == expected


def test_without_proxies_nobody_is_believed() -> None:
    claimed = request("127.0.0.1", x_forwarded_for="10.0.0.1", x_client_cert=quote(PEM))
    assert Proxies(None, "X-Client-Cert").caller(claimed) == Caller(ip_address("127.0.0.1"), None)


@pytest.mark.parametrize(
    "given",
    [quote(PEM), quote(PEM.replace("\n", "\r\n")), PEM.replace("\n", " "), f":{base64.b64encode(DER).decode()}:"],
    ids=["escaped", "escaped, CRLF", "spaces", "DER"],
)
def test_a_certificate_comes_from_a_proxy_alone(given: str) -> None:
    assert BELIEVING.caller(request("127.0.0.1", x_client_cert=given)).certificate == THUMBPRINT
    assert BELIEVING.caller(request("203.0.113.9", x_client_cert=given)).certificate is None
    assert BELIEVING.caller(request("127.0.0.1", client_cert=given)).certificate is None
    assert Proxies("127.0.0.1").caller(request("127.0.0.1", x_client_cert=given)).certificate is None


@pytest.mark.parametrize(
    "given",
    ["", "(null)", "::", ":-:", PEM[:100], "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"],
    ids=["empty", "null", "no bytes", "no base64", "cut short", "no certificate"],
)
def test_what_is_no_certificate_is_none(given: str) -> None:
    assert BELIEVING.caller(request("127.0.0.1", x_client_cert=quote(given))).certificate is None


def test_a_chain_stands_for_its_first_certificate() -> None:
    assert thumbprint_of(PEM + certificate().public_bytes(Encoding.PEM).decode()) == THUMBPRINT


@given(st.text(), st.text())
def test_whatever_a_header_has_is_read(forwarded: str, given: str) -> None:
    BELIEVING.caller(request("127.0.0.1", x_forwarded_for=forwarded.encode("utf-8", "replace").decode("latin-1")))
    thumbprint_of(given)
