"""The connection of this process to a Ray cluster, and the actors that a deployment has there under names.

`likeness-server[ray]` installs Ray. An actor takes its settings from the environment of its machine. So no password and
no key passes through Ray.

Ray does not ask who calls it. Anyone who reaches its ports can run code beside the keys. So the ports belong in a
network of these machines alone. `RAY_USE_TLS=1` encrypts what passes, and asks each machine for a certificate.

The actors outlive the processes that use them.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a cluster that this process starts reports nothing to the outside
os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # under `uv run`, actors would wait for a copy of the working folder
# What a call passes goes in the call itself. Ray's object store, which has the rest, may write it to the disk.
os.environ["RAY_max_direct_call_object_size"] = str(65 << 20)  # noqa: SIM112  Ray reads it so

import ray

from likeness.errors import SetupError


def connect(address: str, namespace: str) -> None:
    """Connect this process to a Ray cluster, if it is not connected. Raises SetupError."""
    if ray.is_initialized():
        return
    with _own_signals():
        try:
            ray.init(address=address, namespace=namespace, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SetupError(
                f"there is no Ray cluster at {address!r}: start one with `ray start --head`, or set "
                "LIKENESS_RAY_ADDRESS"
            ) from error


def disconnect() -> None:
    """Leave the cluster, if this process is connected. The actors go on."""
    ray.shutdown()


def names_in(namespace: str) -> list[str]:
    """Give the names of the actors in a namespace, sorted."""
    named = ray.util.list_named_actors(all_namespaces=True)
    return sorted(each["name"] for each in named if each["namespace"] == namespace)


def end_actors(namespace: str, which: Callable[[str], bool]) -> list[str]:
    """End the actors of a namespace with these names. Give the names of those that ended."""
    names = [name for name in names_in(namespace) if which(name)]
    for name in names:
        ray.kill(ray.get_actor(name, namespace))
    return names


def free_resources(address: str) -> tuple[int, float, float]:
    """Give the nodes of a cluster, and its CPUs and GPUs that no actor has. Raises SetupError.

    This process must not be connected to a cluster.
    """
    connect(address, "likeness")
    cluster: Any = ray  # these functions have no types
    try:
        free = cluster.available_resources()
        return sum(node["Alive"] for node in cluster.nodes()), free.get("CPU", 0.0), free.get("GPU", 0.0)
    finally:
        disconnect()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Undo the handlers that Ray sets: the server ends by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
