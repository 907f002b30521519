"""The targets that are accepted, and the addresses that may be called."""

import asyncio
import ipaddress

import pytest

from likeness.errors import InvalidInput, NotFound
from likeness.webhooks.addresses import ForbiddenAddress, Names, is_public, resolve
from likeness.webhooks.signature import sign_body, verify_body
from likeness.webhooks.target import Target, basic_header, check_target
from webhooks.house import House

GOOD = "https://hooks.example.com/likeness"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "ftp://example.com/",
        "https://user:password@example.com/",
        "https://example.com/#fragment",
        "https:///path",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://b\u00fccher.example/",
        "https://a..b/",
        f"https://{'a' * 64}.example/",
        "https://[::1/x",
        "https://example.com/a b",
        "https://example.com/\x00",
        "https://[fec0::1]/",
        "nonsense",
        "",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_target(Target(url, {}, "s"), private_addresses=False)


@pytest.mark.parametrize("url", [GOOD, "https://93.184.216.34:8443/x?y=z", "https://[2606:2800:220:1::1]/"])
def test_accepted(url: str) -> None:
    check_target(Target(url, {"X-Key": "v", "Authorization": "Bearer t"}, "s"), private_addresses=False)


@pytest.mark.parametrize("url", ["http://localhost:8080/", "http://10.0.0.1/", GOOD])
def test_private_addresses_when_the_deployment_allows_them(url: str) -> None:
    check_target(Target(url, {}, "s"), private_addresses=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"),
        ("content-type", "x"),
        ("Likeness-Signature", "x"),
        ("X y", "x"),
        ("X", "a\r\nB: c"),
        ("X", "ä"),
        ("", "x"),
    ],
)
def test_headers_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match="headers"):
        check_target(Target(GOOD, {name: value}, "s"), private_addresses=False)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.1.2.3", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::1", False),
        ("2001:0:53aa:64c:0:0:80ff:fffe", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_name_that_leads_home_is_refused() -> None:
    with pytest.raises(ForbiddenAddress):
        asyncio.run(resolve(Names(), "localhost", 443, private_addresses=False))
    assert asyncio.run(resolve(Names(), "127.0.0.1", 443, private_addresses=True)) == ["127.0.0.1"]


def test_the_secret_is_kept_until_it_is_rotated(house: House) -> None:
    webhooks = house.webhooks
    first = webhooks.put(house.tenant, GOOD, {})
    assert first.secret.startswith("whsec_")
    assert webhooks.put(house.tenant, GOOD + "2", {}).secret == first.secret
    assert webhooks.put(house.tenant, GOOD, {}, rotate_secret=True).secret != first.secret
    webhooks.remove(house.tenant)
    with pytest.raises(NotFound):
        webhooks.get(house.tenant)
    with pytest.raises(NotFound):
        webhooks.remove(house.tenant)


def test_signature() -> None:
    header = sign_body("secret", b"{}", now=1000.7)
    assert header.startswith("t=1000,v1=")
    assert verify_body("secret", b"{}", header, now=1290)
    for secret, body, changed, now in [
        ("other", b"{}", header, 1000),
        ("secret", b"{ }", header, 1000),
        ("secret", b"{}", header, 1301),
        ("secret", b"{}", header, 699),
        ("secret", b"{}", header.replace("t=1000", "t=1001"), 1000),
        ("secret", b"{}", "", 1000),
        ("secret", b"{}", "t=x,v1=y", 1000),
        ("secret", b"{}", "t=\u0661,v1=y", 1000),
    ]:
        assert not verify_body(secret, body, changed, now=now)


def test_basic() -> None:
    assert basic_header("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    with pytest.raises(InvalidInput):
        basic_header("a:b", "c")
