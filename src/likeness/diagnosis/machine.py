"""The machine, the settings, and the files that need no open deployment."""

import ctypes
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from urllib.parse import urlsplit

from likeness.diagnosis.findings import Finding, doubt, ok, wrong
from likeness.settings import Settings, unknown_settings

GIBIBYTE = 1 << 30
LEAST_FREE_BYTES, SMALL_FREE_BYTES = GIBIBYTE // 2, 5 * GIBIBYTE
OTHER_FILES = 200
"""Open files of a server besides its connections."""
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2)."""


def settings_of_the_environment(settings: Settings) -> Iterator[Finding]:
    """Check the settings for likely mistakes."""
    part = "settings"
    found = [doubt(part, each, "Correct the setting.") for each in (*settings.doubts(), *unknown_settings(os.environ))]
    origin = urlsplit(settings.origin)
    if origin.scheme == "http" and origin.hostname not in _LOCAL:
        found.append(
            doubt(
                part,
                f"the public address {settings.origin} has no TLS",
                "Put a proxy with TLS in front of the server, and set LIKENESS_BASE_URL to its https address.",
            )
        )
    if settings.metrics_port and settings.metrics_host not in _LOCAL:
        found.append(
            doubt(
                part,
                f"the metrics listen on {settings.metrics_host}",
                "Let only your Prometheus reach this port, or set LIKENESS_METRICS_HOST=127.0.0.1.",
            )
        )
    yield from found or [ok(part, "no setting is doubtful")]


def key_file(settings: Settings) -> Iterator[Finding]:
    """Check where the master key is, and who may open it."""
    part, file = "keys", settings.master_key_file
    if not settings.has_key_file:
        yield ok(part, f"the master key is apart from the data: {settings.key_place}")
        return
    if not file.exists():
        yield wrong(part, f"there is no master key at {file}", "Run `likeness init`, or restore the key file.")
        return
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield wrong(part, f"others than the owner may open the master key at {file}", f"Run `chmod 600 {file}`.")
    if settings.key_is_beside_the_data:
        yield doubt(
            part,
            "the master key lies in the data folder, so a copy of the folder opens everything",
            "Move the key file elsewhere, and name it in LIKENESS_KEY_FILE.",
        )
    else:
        yield ok(part, f"the master key is apart from the data, at {file}")


def ray_cluster(settings: Settings) -> Iterator[Finding]:
    """Check whether this process can connect to the Ray cluster, where the settings need one."""
    part = "Ray"
    wanted = [name for name, value in (("GALLERY", settings.gallery), ("ENGINE", settings.engine)) if value == "ray"]
    if not wanted:
        return
    try:
        from likeness.kit.cluster.connection import free_resources  # noqa: PLC0415  Ray is optional
    except ModuleNotFoundError:
        yield wrong(
            part, f"LIKENESS_{wanted[0]}=ray needs Ray, which is not installed", "Install likeness-server[ray]."
        )
        return
    nodes, cpus, gpus = free_resources(settings.ray_address)
    yield ok(part, f"machines of the cluster: {nodes}; free for actors: {cpus:g} CPUs, {gpus:g} GPUs")


def disk(settings: Settings) -> Iterator[Finding]:
    """Check the data folder, and the room on its disk."""
    part, folder = "disk", settings.data_dir
    if not folder.is_dir():
        yield wrong(part, f"there is no data folder at {folder}", "Run `likeness init`, or set LIKENESS_DATA_DIR.")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield wrong(part, f"this user may not write to {folder}", "Run as the server's user, or correct the owner.")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield doubt(part, f"others than the owner may look into {folder}", f"Run `chmod 700 {folder}`.")
    free = shutil.disk_usage(folder).free
    fact = f"{free / GIBIBYTE:.1f} GiB are free at {folder}"
    if free < LEAST_FREE_BYTES:
        yield wrong(part, fact, "Make room: when the disk is full, the server refuses every change.")
    elif free < SMALL_FREE_BYTES:
        yield doubt(part, fact, "Make room before it is full.")
    else:
        yield ok(part, fact)


def clock(_: Settings) -> Iterator[Finding]:
    """Check whether the system keeps its clock right."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        yield ok("clock", "this system does not tell whether its clock is synchronised")
    elif adjtimex(ctypes.create_string_buffer(1024)) == _UNSYNCHRONISED:
        yield doubt(
            "clock",
            "the system says that its clock is not synchronised",
            "Run an NTP client, such as chrony. In a container, look at its host.",
        )
    else:
        yield ok("clock", "the clock is synchronised")


def open_files(settings: Settings) -> Iterator[Finding]:
    """Check whether the system allows as many open files as connections need."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + OTHER_FILES
    if most != resource.RLIM_INFINITY and most < needed:
        yield doubt(
            "open files",
            f"a process may open {most} files, and {settings.max_connections} connections need {needed}",
            f"Raise the limit (`LimitNOFILE={needed}` of systemd), or lower LIKENESS_MAX_CONNECTIONS.",
        )
    else:
        yield ok("open files", f"enough for {settings.max_connections} connections")
