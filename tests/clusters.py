"""A real Ray cluster on this machine, and servers that share galleries in its shards."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lacking import skip_here
from likeness.deployment import initialise
from postgres import new_database
from processes import ServerProcess, server_process
from servers import Server, serving, test_settings

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray then uses the loopback address, on Linux too
os.environ["RAY_USAGE_STATS_ENABLED"] = os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
os.environ["RAY_raylet_start_wait_time_s"] = "180"  # noqa: SIM112  Ray reads it so; a busy machine is slow
ALONE = pytest.mark.xdist_group("ray")
"""For tests with a cluster: one process runs them, so no two clusters start at once. A node must start within 30 s."""
NODE: Any = {"num_cpus": 8, "memory": 8 << 30, "object_store_memory": 100 << 20}


@contextlib.contextmanager
def ray_nodes(environment: Mapping[str, str], *, count: int = 2, head: Mapping[str, Any] = NODE) -> Iterator[Any]:
    """Run a cluster of some nodes. Give its ``ray.cluster_utils.Cluster``.

    The nodes have the settings of an environment, like the machines of one deployment. ``head`` has the resources of
    the first node.
    """
    try:
        from ray.cluster_utils import Cluster  # noqa: PLC0415  Ray is optional, and takes seconds
    except ModuleNotFoundError:
        skip_here("Ray is not installed (the extra `ray`)")
    with _environment(environment):
        cluster = Cluster(initialize_head=True, head_node_args={**head, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            add_node(cluster, environment)
        yield cluster
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def add_node(cluster: Any, environment: Mapping[str, str]) -> None:
    """Add a node that has the settings of an environment."""
    with _environment(environment):
        cluster.add_node(**NODE)


def actor_processes(kind: str) -> list[int]:
    """Give the ids of the processes that are actors of a class, on the nodes that this process started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (process / "cmdline").read_bytes()
            if title.startswith(f"ray::{kind}".encode()) and _parent(_parent(int(process.name))) == os.getpid():
                found.append(int(process.name))
    return sorted(found)


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        for name in more.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@dataclass
class SharedServers:
    """Servers on one data folder and one database, whose galleries are in shards."""

    cluster: Any
    servers: list[ServerProcess]
    environment: Mapping[str, str]
    """The settings of the nodes."""


@contextlib.contextmanager
def shared_servers(
    folder: Path,
    database_url: str,
    *,
    servers: int = 2,
    nodes: int = 2,
    head: Mapping[str, Any] = NODE,
    parts: int = 2,
    replicas: int = 2,
    command: tuple[str, ...] = ServerProcess.command,
    before: Callable[[ServerProcess], object] | None = None,
    launched_with: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[SharedServers]:
    """Run servers that share galleries. They have the credentials of one client.

    ``before`` fills the database before the servers start. ``launched_with`` is more environment of the servers alone.
    """
    settings = {
        "pack": "fake",
        "workers": 2,
        "database_url": database_url,
        "gallery": "ray",
        "gallery_parts": parts,
        "gallery_replicas": replicas,
        "shard_megabytes": 256,
        **more,
    }
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(server_process(folder, start=False, **settings)) for _ in range(servers)]
        first = made[0]
        if before:
            before(first)
        deployment = {name: value for name, value in first.environment.items() if name.startswith("LIKENESS_")}
        environment = {**deployment, "LIKENESS_SCAN_THREADS": "1"}
        cluster = stack.enter_context(ray_nodes(environment, count=nodes, head=head))
        for each in made:
            each.credentials = first.credentials
            each.command = command
            each.environment |= {"LIKENESS_RAY_ADDRESS": cluster.address, **(launched_with or {})}
            each.launch()
        for each in made:
            each.wait()
        yield SharedServers(cluster, made, environment)
        for each in made:
            each.stop()


@contextlib.contextmanager
def serving_in_shards(folder: Path, postgres_server_url: str) -> Iterator[Server]:
    """Run the application in this process, with its galleries in two parts on a Ray cluster of one node."""
    settings = test_settings(folder, database_url=new_database(postgres_server_url))
    initialise(settings)
    environment = {"LIKENESS_DATA_DIR": str(folder), "LIKENESS_DATABASE_URL": str(settings.database_url)}
    with ray_nodes(environment, count=1) as cluster:
        shared = {"gallery": "ray", "gallery_parts": 2, "shard_megabytes": 256, "ray_address": cluster.address}
        with serving(settings.model_copy(update=shared)) as running:
            yield running
