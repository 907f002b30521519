"""The examples of proxies agree with the server's limits, and carry calls and face sessions."""

import contextlib
import dataclasses
import datetime as dt
import ipaddress
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import uvicorn
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import WebSocketException

from lacking import needed_program
from likeness.access.clients import FRESH_SECONDS
from likeness.access.schemas import ClientSettings
from likeness.engine.fake import fake_photo
from likeness.server import protocol
from likeness.settings import Settings
from likeness.web.http import BodyLimits
from likeness.web.proxies import thumbprint_of
from scripted_sessions import PERSON_FRAME, Session, open_session, ready_browser, scripted
from servers import Api, Server, calling, serving, serving_two, test_settings, wait_until, wait_until_ready

PROXIES = Path(__file__).resolve().parents[2] / "deploy" / "proxies"
NGINX, HAPROXY, ENVOY_TEXT = ((PROXIES / name).read_text() for name in ("nginx.conf", "haproxy.cfg", "envoy.yaml"))
ENVOY = yaml.safe_load(ENVOY_TEXT)
LISTENER = ENVOY["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
CLUSTER = ENVOY["static_resources"]["clusters"][0]
UPSTREAM = next(iter(CLUSTER["typed_extension_protocol_options"].values()))
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
PING_SECONDS = uvicorn.Config("").ws_ping_interval
"""Between two pings of the server on a WebSocket."""


def only(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    assert len(found) == 1, (pattern, found)
    return int(found[0])


def of_envoy(duration: str) -> int:
    return int(duration.removesuffix("s"))


@pytest.mark.parametrize(
    "most",
    [
        pytest.param(only(r"client_max_body_size (\d+)m;", NGINX) << 20, id="nginx"),
        pytest.param(only(r"content-length\) gt (\d+) ", HAPROXY), id="haproxy"),
    ],
)
def test_the_largest_accepted_body_passes(most: int) -> None:
    assert BodyLimits(DEFAULTS["max_image_bytes"]).in_json(photos=2) < most < protocol.DRAIN_BYTES


@pytest.mark.parametrize(
    "idle",
    [
        pytest.param(only(r"keepalive 32;\s+#.*\s+keepalive_timeout (\d+)s;", NGINX), id="nginx"),
        pytest.param(only(r"pool-purge-delay (\d+)s", HAPROXY), id="haproxy"),
        pytest.param(of_envoy(UPSTREAM["common_http_protocol_options"]["idle_timeout"]), id="envoy"),
    ],
)
def test_a_proxy_ends_an_idle_connection_before_the_server(idle: int) -> None:
    assert idle < DEFAULTS["keep_alive_seconds"]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(only(r"client_header_timeout (\d+)s;", NGINX), id="nginx"),
        pytest.param(only(r"timeout http-request (\d+)s", HAPROXY), id="haproxy"),
        pytest.param(of_envoy(LISTENER["request_headers_timeout"]), id="envoy"),
    ],
)
def test_a_proxy_waits_for_headers_as_long_as_the_server(head: int) -> None:
    assert head == DEFAULTS["request_seconds"]


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(only(r"proxy_read_timeout (\d+)s;", NGINX), id="nginx"),
        pytest.param(only(r"timeout tunnel (\d+)s", HAPROXY), id="haproxy"),
        pytest.param(of_envoy(LISTENER["stream_idle_timeout"]), id="envoy"),
    ],
)
def test_a_socket_stays_open_from_ping_to_ping(quiet: int) -> None:
    assert PING_SECONDS
    assert quiet >= 2 * PING_SECONDS


def test_a_proxy_asks_where_the_server_listens() -> None:
    port = DEFAULTS["port"]
    endpoint = CLUSTER["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert f"server 127.0.0.1:{port};" in NGINX
    assert f"server one 127.0.0.1:{port} " in HAPROXY
    assert endpoint == {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    assert LISTENER["max_request_headers_kb"] == protocol.HEADER_BYTES >> 10


@dataclass(frozen=True)
class Place:
    """Where a proxy under test has its files, listens, and finds the server."""

    folder: Path
    port: int
    servers: list[str]

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


def changed(text: str, **places: str) -> str:
    """Put other places into an example. Each is in it exactly once."""
    for old, new in places.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def nginx(place: Place) -> list[str | Path]:
    program = needed_program("nginx", of="Debian: the package nginx")
    example = place.put(
        "likeness.conf",
        changed(
            NGINX,
            **{
                "listen 443 ": f"listen 127.0.0.1:{place.port} ",
                "server 127.0.0.1:8000;": " ".join(f"server {each};" for each in place.servers),
                "/etc/ssl/likeness/fullchain.pem": str(place.folder / "chain.pem"),
                "/etc/ssl/likeness/key.pem": str(place.folder / "chain.pem"),
            },
        ),
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {place.folder}/{kind};" for kind in kinds)
    main = place.put(
        "main.conf",
        f"daemon off; pid {place.folder}/pid; error_log stderr; events {{}} http {{ {folders} include {example}; }}",
    )
    command: list[str | Path] = [program, "-p", place.folder, "-e", "stderr", "-c", main]
    check([*command, "-t"])
    return command


def haproxy(place: Place) -> list[str | Path]:
    program = needed_program("haproxy", of="Debian: the package haproxy")
    line = re.search(r"    server one .*\n", HAPROXY)
    assert line
    lines = [changed(line[0], **{"one 127.0.0.1:8000": f"of-{each} {each}"}) for each in place.servers]
    example = changed(
        HAPROXY,
        **{
            "bind :443 ": f"bind 127.0.0.1:{place.port} ",
            line[0]: "".join(lines),
            "/etc/ssl/likeness/chain-and-key.pem": str(place.folder / "chain.pem"),
        },
    )
    command: list[str | Path] = [program, "-f", place.put("haproxy.cfg", example)]
    check([*command, "-c"])
    return [*command, "-db"]


def envoy(place: Place) -> list[str | Path]:
    program = needed_program("envoy", of="the dependency group `deploy`")
    line = re.search(r" +- endpoint: .*\n", ENVOY_TEXT)
    assert line
    lines = [changed(line[0], **{"8000": each.rpartition(":")[2]}) for each in place.servers]
    example = changed(
        ENVOY_TEXT,
        **{
            "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {place.port}",
            line[0]: "".join(lines),
            "/etc/ssl/likeness/fullchain.pem": str(place.folder / "chain.pem"),
            "/etc/ssl/likeness/key.pem": str(place.folder / "chain.pem"),
        },
    )
    own = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    command: list[str | Path] = [program, "-c", place.put("envoy.yaml", example), *own]
    check([*command, "--mode", "validate"])
    return command


def check(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    assert "[WARNING]" not in done.stderr


@contextlib.contextmanager
def running(proxy: Callable[[Place], list[str | Path]], server: Server, folder: Path, *others: Server) -> Iterator[str]:
    """Run a proxy in front of the servers. Give its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    process = subprocess.Popen(
        proxy(Place(folder, port, [each.url.removeprefix("http://") for each in (server, *others)]))
    )
    try:
        wait_until_ready(url, runs=lambda: process.poll() is None)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a certificate of this machine that the test's callers trust. Give its folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    own_address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([own_address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    return tmp_path


@pytest.mark.parametrize(
    ("proxy", "refusal"),
    [
        (nginx, 413),
        (haproxy, 413),
        pytest.param(envoy, 401, id="envoy, which lets the server refuse a body whose call has no token"),
    ],
)
def test_calls_and_sessions_pass_through(
    proxy: Callable[[Place], list[str | Path]], refusal: int, own_server: Server, certified: Path
) -> None:
    with (
        running(proxy, own_server, certified) as url,
        scripted(own_server),
        calling(dataclasses.replace(own_server, url=url)) as api,
    ):
        matched = api.match(fake_photo(1), fake_photo(1, variation=2))
        assert matched.status_code == 200
        assert matched.json()["match"] is True
        with ready_browser(api, open_session(api)) as browser:
            assert browser.attempt(PERSON_FRAME)["type"] == "end"
        most = BodyLimits(DEFAULTS["max_image_bytes"]).in_json(photos=2)
        json_type = {"Content-Type": "application/json"}
        too_empty = api.call("POST", "/api/v1/face/match", content=b" " * most, headers=json_type)
        assert (too_empty.status_code, "error" in too_empty.json()) == (400, True)
        assert status_of_head(url, body_bytes=most + (4 << 20)) == refusal


def nginx_with_certificates(place: Place) -> list[str | Path]:
    command = nginx(place)
    place.put("likeness.conf", (place.folder / "likeness.conf").read_text().replace("#certificates ", ""))
    check([*command, "-t"])
    return command


def haproxy_with_certificates(place: Place) -> list[str | Path]:
    command = haproxy(place)
    chain = place.folder / "chain.pem"
    wanted = f"ca-file {chain} verify optional crt-ignore-err all ca-ignore-err all"
    example = (place.folder / "haproxy.cfg").read_text().replace("#certificates ", "")
    place.put("haproxy.cfg", changed(example, **{f" ssl crt {chain}": f" ssl crt {chain} {wanted}"}))
    check([*command[:-1], "-c"])
    return command


@pytest.mark.parametrize("proxy", [nginx_with_certificates, haproxy_with_certificates])
def test_a_client_proves_itself_by_its_certificate(
    proxy: Callable[[Place], list[str | Path]], certified: Path, tmp_path: Path
) -> None:
    own = (certified / "chain.pem").read_text()
    settings = test_settings(tmp_path / "data", proxies="127.0.0.1", certificate_header="X-Client-Cert")
    context = ssl.create_default_context()
    context.load_cert_chain(certified / "chain.pem")
    with serving(settings) as server, running(proxy, server, certified) as url, calling(server) as api:
        thumbprint = thumbprint_of(own)
        assert thumbprint
        server.deployment.clients.change_settings(api.client_id, ClientSettings(certificates=(thumbprint,)))
        server.clock.move(FRESH_SECONDS)
        form = {"grant_type": "client_credentials", "client_id": api.client_id}
        claimed = {"X-Client-Cert": quote(own[: own.index("-----BEGIN PRIVATE")])}
        with httpx.Client(base_url=url, verify=context) as bank, httpx.Client(base_url=url) as stranger:
            token = bank.post("/api/oauth/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            statuses = [
                bank.get("/api/v1/face/one-to-n", headers=headers).status_code,
                stranger.get("/api/v1/face/one-to-n", headers=headers).status_code,
                stranger.get("/api/v1/face/one-to-n", headers=headers | claimed).status_code,
                stranger.post("/api/oauth/token", data=form, headers=claimed).status_code,
            ]
        assert statuses == [200, 401, 401, 401]


@pytest.mark.parametrize("proxy", [nginx, haproxy, envoy])
def test_the_sockets_of_a_session_meet_in_one_server(
    proxy: Callable[[Place], list[str | Path]], certified: Path, postgres_url: str
) -> None:
    """See ``servers.serving_two`` for what is simulated."""
    with (
        serving_two(certified / "data", postgres_url) as servers,
        running(proxy, servers[0], certified, servers[1]) as url,
        calling(dataclasses.replace(servers[0], url=url)) as api,
    ):
        first, second = servers

        def carried_out_by(session: Session) -> Server:
            found = [each for each in servers if session.id in each.components.captures._under_way]
            assert len(found) == 1, "connections of one session went to several servers"
            return found[0]

        used: dict[int, Session] = {}
        for _ in range(40):
            session = open_session(api)
            with contextlib.ExitStack() as stack:
                for _ in range(3):
                    connect(stack, api, session)
                used[servers.index(carried_out_by(session))] = session
            if len(used) == len(servers):
                break
        assert used.keys() == {0, 1}
        second.app.state.server.should_exit = True
        wait_until(lambda: refuses(second.url))

        def goes_on() -> bool:
            with contextlib.suppress(WebSocketException, OSError), ready_browser(api, used[1]):
                return carried_out_by(used[1]) is first
            return False

        wait_until(goes_on)


def connect(stack: contextlib.ExitStack, api: Api, session: Session) -> None:
    """Connect a browser. Python's TLS now and then fails while two threads use one connection."""
    for last in (False, False, True):
        try:
            stack.enter_context(ready_browser(api, session))
        except (WebSocketException, OSError):
            if last:
                raise
        else:
            return


def refuses(url: str) -> bool:
    """Whether nobody listens at an address."""
    try:
        httpx.get(f"{url}/readyz")
    except httpx.TransportError as error:
        return isinstance(error, httpx.ConnectError)
    return False


def status_of_head(url: str, *, body_bytes: int) -> int:
    """Announce a body, and give the status that comes before it."""
    port = int(url.rpartition(":")[2])
    head = f"POST /api/v1/face/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {body_bytes}\r\n\r\n"
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(head.encode())
        return int(secure.recv(64).split()[1])
