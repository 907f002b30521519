"""All settings with defaults and meanings, hence the many lines. The variable ``LIKENESS_<NAME>`` sets one."""

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationInfo,
    field_validator,
    model_validator,
)

MEBIBYTE = 1024 * 1024
LARGEST_PHOTO_BYTES = 64 * MEBIBYTE
MOST_ATTEMPTS = 3
"""The attempts that a face session may have."""
PREFIX = "LIKENESS_"
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
OF_COMMANDS = frozenset({"LIKENESS_WEBHOOK_PASSWORD", "LIKENESS_TO_DATABASE_URL"})
"""Variables that are options of a command, not settings."""


class Settings(BaseModel):
    """The deployment's settings: those given, then those of the environment, then the defaults.

    ``scripts/write_docs.py`` writes them into docs/operations.md.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)

    data_dir: Path = Field(Path("data"), description="Folder of the database, the images, the key file and the models.")
    host: str = Field("127.0.0.1", description="Address that the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the server listens on.")
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port that serves `/metrics`, and nothing else. Without it there is no `/metrics`.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address of `LIKENESS_METRICS_PORT`. Choose another one only in a network of your own: everybody "
        "who reaches the port can read the figures.",
    )
    max_connections: int = Field(
        1000,
        ge=8,
        le=100_000,
        description="Largest number of open connections. Beyond it, the server closes those that have kept it waiting "
        "longest. If the limit of open files is too low, the number is smaller, and the log says so.",
    )
    keep_alive_seconds: int = Field(
        75,
        ge=1,
        le=3600,
        description="Longest time that a connection may be idle between two requests. Make it longer than the idle "
        "time of your proxy or client pool.",
    )
    request_seconds: int = Field(
        10,
        ge=1,
        le=600,
        description="Longest time for a request's headers, for each pause in its body, and for reading the answer.",
    )
    body_bytes_per_second: int = Field(
        8192,
        ge=1,
        description="Lowest rate of a request's body, once `LIKENESS_REQUEST_SECONDS` have passed. A slower body is "
        "refused with 408.",
    )
    tls_certificate_file: Path | None = Field(
        None,
        description="File of the server's certificate with its chain (PEM). With it the server speaks TLS itself, "
        "version 1.2 or 1.3, also on `LIKENESS_METRICS_PORT`. A new certificate takes effect with the next start.",
    )
    tls_key_file: Path | None = Field(
        None, description="File of the certificate's private key (PEM). By default it is in the certificate's file."
    )
    base_url: str | None = Field(
        None,
        description="Public address of the server, without a path: the issuer of tokens and results, and the root of "
        "captureUrl.",
    )
    hosts: str | None = Field(
        None,
        description="Further host names that requests may name, with commas between them, such as the server's name in "
        "an internal network. The host of `LIKENESS_BASE_URL`, `localhost`, and the address that a connection came in "
        "on are known without it. A request for any other host is refused with 400.",
    )
    proxies: str | None = Field(
        None,
        description="Addresses or networks of the proxies in front, with commas between them, such as `127.0.0.1`. "
        "From them alone the server takes the caller's address out of `X-Forwarded-For`. Without them, the caller's "
        "address is that of the connection.",
    )
    certificate_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="Header in which the proxies of `LIKENESS_PROXIES` give the certificate of the caller's TLS "
        "connection. They must set it or delete it in every request: see "
        "[Certificates of clients](security.md#who-may-do-what).",
    )
    database_url: str | None = Field(
        None, repr=False, description="SQLAlchemy URL of the database. By default an SQLite file in the data folder."
    )
    standby: bool = Field(
        default=False,
        description="If another server owns the data, wait and take over when it ends. Without this setting, the start "
        "ends with an error.",
    )
    gallery: Literal["memory", "ray"] = Field(
        "memory",
        description="Where searches run. `memory`: in the server, of which there is one. `ray`: in shards on a Ray "
        "cluster, for any number of servers on one PostgreSQL: see [Scaling](scaling.md).",
    )
    ray_address: str = Field(
        "auto", description="Address of the Ray cluster: `auto` for this machine's node, or `host:port` of the head."
    )
    gallery_parts: int = Field(
        1, ge=1, le=1024, description="Parts that every gallery is cut into, with `LIKENESS_GALLERY=ray`."
    )
    gallery_replicas: int = Field(
        1, ge=1, le=8, description="Shards that hold each part, on different nodes while there are enough."
    )
    shard_megabytes: int = Field(
        4096,
        ge=16,
        description="Most memory that a shard may hold in templates. A gallery that would not fit is refused, and a "
        "node takes no more shards than fit into its memory.",
    )
    images_url: str | None = Field(
        None,
        description="Object store of the images (file:///..., s3://..., gs://..., az://...). By default a folder in "
        "the data folder.",
    )
    key_file: Path | None = Field(
        None,
        description="File of the master key that wraps every tenant's data key. By default it is in the data folder. "
        "Back it up apart from the data.",
    )
    key_provider: str = Field(
        "file",
        pattern=r"^(file|env|vault:[\w.-]+(/[\w.-]+)+|aws-kms:[\w:/.-]+|pkcs11:[^/]+/.+)$",
        description="Where the master key is: `file` (`LIKENESS_KEY_FILE`), `env` (`LIKENESS_MASTER_KEY`), "
        "`vault:MOUNT/NAME`, `aws-kms:KEY` or `pkcs11:TOKEN/LABEL`. See [Key providers](#key-providers).",
    )
    master_key: str | None = Field(
        None,
        repr=False,
        description="The master key of `LIKENESS_KEY_PROVIDER=env`: 32 random bytes in base64.",
    )
    pkcs11_module: str | None = Field(
        None, description="Library of the PKCS#11 token's vendor, for `LIKENESS_KEY_PROVIDER=pkcs11:...`."
    )
    pkcs11_pin: str | None = Field(None, repr=False, description="PIN of the PKCS#11 token's user.")
    pack: str = Field(
        "auto", description="Model pack: auto, builtin, best, fast, an installed pack, or fake (tests only)."
    )
    models_mirror: Path | None = Field(
        None,
        description="Folder of model files, for networks without the internet. Files are found by name and verified by "
        "hash.",
    )
    provider: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="ONNX Runtime execution provider. `cuda` needs the package onnxruntime-gpu instead of onnxruntime. "
        "Without it the server does not start.",
    )
    jpeg2000: bool = Field(
        default=False,
        description="Accept photos in JPEG 2000, such as the chips of passports have, besides JPEG and PNG: grey or "
        "RGB, at most 4 megapixels. The decoder, OpenJPEG, then reads what callers send.",
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Photos that are analysed at once, one thread or process for each. `LIKENESS_PHOTO_ACTORS` takes "
        "its place with `LIKENESS_ENGINE=ray`, except for camera frames.",
    )
    engine: Literal["threads", "processes", "ray"] = Field(
        "threads",
        description="Where photos are analysed: on threads of the server, in separate processes, or by actors of a "
        "Ray cluster ([Scaling](scaling.md#photos-on-many-machines)). Choose processes for more than 4 workers, "
        "because threads share one interpreter. A photo that crashes a process does not end the server. Each process "
        "takes about 150 MB.",
    )
    photo_actors: int = Field(
        2,
        ge=1,
        le=1024,
        description="Actors that analyse photos with `LIKENESS_ENGINE=ray`, for all servers together. Each takes a "
        "core of the Ray cluster, and with `LIKENESS_PROVIDER=cuda` a GPU.",
    )
    queue_seconds: float = Field(
        0.5,
        gt=0,
        le=60,
        description="Longest time that a request may have to wait for a worker. The server estimates the time from "
        "recent photos, and answers 503 if it is longer.",
    )
    scan_threads: int = Field(
        1,
        ge=1,
        le=256,
        description="Threads that share one scan of a gallery. More than one help if the memory is faster than a core.",
    )
    scans_at_once: int = Field(
        1,
        ge=1,
        le=256,
        description="Scans of a gallery that run at once. Further searches wait, and share the next scan.",
    )
    templates: Literal["memory", "mapped"] = Field(
        "memory",
        description="Where searches read templates. `memory`: all are in memory. `mapped`: most are in an encrypted "
        "file in the data folder, which disappears with the process. A gallery then takes a third of the memory, and "
        "more time to load: see [Templates on the disk](gallery.md#templates-on-the-disk).",
    )
    max_image_bytes: int = Field(
        5 * MEBIBYTE,
        ge=1024,
        le=LARGEST_PHOTO_BYTES,
        description="Largest photo accepted, in bytes after base64 decoding.",
    )
    max_frame_bytes: int = Field(
        512 * 1024, ge=16 * 1024, le=2 * MEBIBYTE, description="Largest camera frame of a face session, in bytes."
    )
    liveness_thresholds: Path | None = Field(
        None,
        description="File of `likeness calibrate-liveness` with the thresholds of the liveness signals. By default the "
        "built-in ones are used, which rest on simulated attempts.",
    )
    attestation: Path | None = Field(
        None,
        description="JSON file of the verifier of native apps' attestations, and its options: see "
        "[An app's attestation](sessions.md#an-apps-attestation). By default none is verified.",
    )
    token_ttl_seconds: int = Field(1800, ge=60, le=86400, description="Lifetime of an access token.")
    session_ttl_seconds: int = Field(
        600, ge=30, le=3600, description="Lifetime of a face session and of its ID photo's template."
    )
    result_ttl_seconds: int = Field(
        600, ge=60, le=86400, description="How long after its end a session's result can be fetched."
    )
    audit_image_ttl_seconds: int = Field(
        1800, ge=60, le=86400, description="How long a session's audit image can be fetched."
    )
    token_failures_per_minute: int = Field(
        10,
        ge=1,
        description="Wrong secrets per client id and minute before 429. The right secret still gets a token.",
    )
    requests_per_minute: int = Field(
        30_000,
        ge=0,
        description="Calls of a client per minute before 429; 0 for no limit. Unused calls of the last minute may be "
        "made at once.",
    )
    tenant_requests_per_minute: int = Field(
        60_000, ge=0, description="Calls of all clients of a tenant per minute before 429; 0 for no limit."
    )
    tenant_calls: int = Field(500, ge=1, description="Calls of a tenant in progress at once before 429.")
    attempts_per_photo: int = Field(
        300,
        ge=0,
        description="Attempts of a tenant's face sessions with the same ID photo in an hour, before 429; 0 for no "
        "limit. A session counts with its `maxAttempts`.",
    )
    webhook_private_addresses: bool = Field(
        default=False,
        description="Allow webhooks to private addresses, and over http, for receivers in your own network.",
    )
    webhook_proxy: str | None = Field(
        None,
        repr=False,
        pattern=r"^https?://[^/?#\s]+/?$",
        description="HTTP proxy of the webhooks, such as `http://user:password@proxy:3128`. It resolves the receivers' "
        "names, so it must refuse private addresses. The proxies of the environment are not used.",
    )
    webhook_ca_file: Path | None = Field(
        None,
        description="File of the certificate authorities (PEM) that receivers of webhooks, and the proxy, may have. By "
        "default the usual public ones.",
    )
    webhook_certificate_file: Path | None = Field(
        None,
        description="File of the certificate and its key (PEM) that the server shows to receivers of webhooks.",
    )
    egress: Literal["none", "webhooks", "all"] = Field(
        "all",
        description="What the server may connect to besides its database, image store, key provider and Ray: "
        "`none`, the receivers of `webhooks`, or `all`, which adds downloads of model packs. See "
        "[Egress](security.md#egress).",
    )
    webhook_replay_hours: int = Field(
        24, ge=2, le=720, description="How long a delivery's content is kept, sealed, so that it can be sent again."
    )
    audit_days: int = Field(
        400,
        ge=0,
        le=36_500,
        description="How many days the audit trail keeps a record; 0: for ever. See [the audit "
        "trail](security.md#audit-trail).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest severity that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of a line of the log: text to read, or one JSON object with the call's facts by name."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_environment(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Add the variables of the environment. The case of their names does not matter."""
        fields = {f"{PREFIX}{name}".lower(): name for name in cls.model_fields}
        variables = {variable.lower(): value for variable, value in os.environ.items()}
        return {fields[name]: value for name, value in variables.items() if name in fields} | given

    @field_validator("metrics_port")
    @classmethod
    def _port_of_its_own(cls, value: int | None, others: ValidationInfo) -> int | None:
        if value is not None and value == others.data.get("port"):
            raise ValueError("must differ from LIKENESS_PORT")
        return value

    @model_validator(mode="after")
    def _shards_on_postgresql(self) -> "Settings":
        if self.shares_galleries and not (self.database_url or "").startswith("postgresql"):
            raise ValueError("LIKENESS_GALLERY=ray needs PostgreSQL: set LIKENESS_DATABASE_URL")
        return self

    @field_validator("tls_key_file")
    @classmethod
    def _with_certificate(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        if value is not None and others.data.get("tls_certificate_file") is None:
            raise ValueError("needs LIKENESS_TLS_CERTIFICATE_FILE")
        return value

    @field_validator("base_url")
    @classmethod
    def _plain_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = TypeAdapter(HttpUrl).validate_python(value)
        if url.path not in {None, "/"} or url.query or url.fragment or url.username or url.password:
            raise ValueError("must be a bare origin such as https://face.example.com, without a path")
        return str(url).rstrip("/")

    @field_validator("certificate_header")
    @classmethod
    def _from_a_proxy(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and others.data.get("proxies") is None:
            raise ValueError("needs LIKENESS_PROXIES: the server believes this header from a proxy only")
        return value

    @field_validator("attempts_per_photo")
    @classmethod
    def _enough_for_a_session(cls, value: int) -> int:
        if 0 < value < MOST_ATTEMPTS:
            raise ValueError(f"must be 0, or at least the {MOST_ATTEMPTS} attempts of one session")
        return value

    @field_validator("hosts")
    @classmethod
    def _host_names(cls, value: str | None) -> str | None:
        names = [] if value is None else [name.strip().lower() for name in value.split(",")]
        if wrong := [name for name in names if not (HOST_NAME.fullmatch(name) or _is_address(name))]:
            raise ValueError(f"{wrong[0]!r} is not the name of a host, such as likeness.internal")
        return ",".join(names) or None

    @field_validator("proxies")
    @classmethod
    def _networks(cls, value: str | None) -> str | None:
        networks = [] if value is None else [ipaddress.ip_network(each.strip()) for each in value.split(",")]
        return ",".join(map(str, networks)) or None

    def doubts(self) -> Iterator[str]:
        """Give a sentence for each setting that is probably a mistake."""
        if self.base_url is None and _is_every_address(self.host):
            yield (
                f"LIKENESS_BASE_URL is not set, so tokens, results and captureUrl name {self.own_address}, which "
                "nobody can visit. Set it to the public address before the server issues the first token: a later "
                "change is a change of the issuer"
            )
        if self.base_url is None and self.shares_galleries:
            yield (
                "LIKENESS_BASE_URL is not set, so each server names its own address, and refuses the tokens of the "
                "others. Give all servers the same public address"
            )
        if self.models_mirror and not self.models_mirror.is_dir():
            yield (
                f"LIKENESS_MODELS_MIRROR names no folder: {self.models_mirror}. The server looks for model files "
                "elsewhere"
            )

    @property
    def photos_at_once(self) -> int:
        """The most photos of this process that are analysed at once."""
        return self.photo_actors if self.engine == "ray" else self.workers

    @property
    def origin(self) -> str:
        """The public address, without a trailing slash."""
        return self.base_url or self.own_address

    @property
    def host_names(self) -> frozenset[str]:
        """The names, in lower case, of this server."""
        own = (urlsplit(address).hostname or "" for address in (self.origin, self.own_address))
        return frozenset({"localhost", *own, *(self.hosts or "localhost").split(",")})

    @property
    def own_address(self) -> str:
        """Where the server listens, without a trailing slash."""
        return f"{self._scheme}://{_in_address(self.host)}:{self.port}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls_certificate_file else "http"

    @property
    def metrics_address(self) -> str | None:
        """Where the metrics are, or None."""
        place = f"{_in_address(self.metrics_host)}:{self.metrics_port}"
        return f"{self._scheme}://{place}/metrics" if self.metrics_port else None

    @property
    def database_address(self) -> str:
        from sqlalchemy import URL  # noqa: PLC0415  half of what `likeness --version` would import

        return self.database_url or URL.create("sqlite", database=str(self.database_file.resolve())).render_as_string()

    @property
    def shares_galleries(self) -> bool:
        """Whether several servers may own the galleries."""
        return self.gallery == "ray"

    @property
    def needs_network(self) -> bool:
        """Whether the database, the image store, the key provider or Ray may be reached by a network."""
        remote = bool(self.database_url) and not str(self.database_url).startswith("sqlite")
        keys = self.key_provider not in {"file", "env"}
        return remote or keys or not self.images_address.startswith("file:") or "ray" in {self.gallery, self.engine}

    @property
    def alone(self) -> "Settings":
        """These settings for a command that must be the only process on the data."""
        return self.model_copy(update={"gallery": "memory"})

    @property
    def database_file(self) -> Path:
        """SQLite's file. It does not exist if ``database_url`` names another database."""
        return self.data_dir / "likeness.sqlite3"

    @property
    def images_address(self) -> str:
        return self.images_url or (self.data_dir / "images").resolve().as_uri()

    @property
    def master_key_file(self) -> Path:
        return self.key_file or self.data_dir / "master.key"

    @property
    def has_key_file(self) -> bool:
        """Whether the master key is in a file, not with another provider."""
        return self.key_provider == "file"

    @property
    def key_place(self) -> str:
        """Where the master key is, for a person."""
        return str(self.master_key_file) if self.has_key_file else f"LIKENESS_KEY_PROVIDER={self.key_provider}"

    @property
    def key_is_beside_the_data(self) -> bool:
        """Whether the master key lies in the data folder, so that one copy has both."""
        return self.has_key_file and self.master_key_file.resolve().is_relative_to(self.data_dir.resolve())

    @property
    def templates_folder(self) -> Path | None:
        """Where a file holds the templates that searches read; None: they are in memory."""
        return self.data_dir if self.templates == "mapped" else None

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_every_address(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified if _is_address(host) else not host


def unknown_settings(environment: Mapping[str, str]) -> Iterator[str]:
    """Give a sentence for each variable that looks like a setting and is none, with the nearest setting."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OF_COMMANDS
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
            yield f"{name} is not a setting and is not read" + (f"; did you mean {near[0]}?" if near else "")
