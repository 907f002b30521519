"""Runs a command in its own network and home, and reports the names and addresses that it tried to reach.

``python closed_network.py COMMAND...`` needs root, because it makes namespaces with ``unshare``. The network has only a
loopback interface and a name server that knows no name. The last line of the output is the report, as JSON. The exit
status is the command's.
"""

import fcntl
import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

RESOLVER = ("127.0.0.1", 53)
NO_SUCH_NAME = b"\x81\x83"
SET_FLAGS, IS_UP = 0x8914, 1  # of netdevice(7)


def can_be_made() -> bool:
    """Whether this user may make such a network on this kernel."""
    command = ["unshare", "--net", "--mount", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def watched(*command: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command in a closed network. ``seen`` reads its report."""
    inside = ["unshare", "--net", "--mount", sys.executable, __file__, *command]
    return subprocess.run(inside, env=environment, capture_output=True, text=True, check=False)


def seen(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _answer(resolver: socket.socket, asked: list[str]) -> None:
    while True:
        question, peer = resolver.recvfrom(2000)
        asked.append(_name(question[12:]))
        resolver.sendto(question[:2] + NO_SUCH_NAME + question[4:6] + bytes(6) + question[12:], peer)


def _name(question: bytes) -> str:
    labels = []
    while question[0]:
        labels.append(question[1 : 1 + question[0]].decode())
        question = question[1 + question[0] :]
    return ".".join(labels)


def _unreachable() -> int:
    """Count the packets and connections to outside addresses, to which there is no route."""
    names, counts = (
        line.split()[1:] for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    )
    of_six = re.search(r"Ip6OutNoRoutes\s+(\d+)", Path("/proc/net/snmp6").read_text())
    return int(dict(zip(names, counts, strict=True))["OutNoRoutes"]) + (int(of_six[1]) if of_six else 0)


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", IS_UP))
    with tempfile.NamedTemporaryFile("w", suffix=".resolv") as configuration:
        configuration.write(f"nameserver {RESOLVER[0]}\n")
        configuration.flush()
        subprocess.run(["mount", "--bind", configuration.name, "/etc/resolv.conf"], check=True)
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        resolver.bind(RESOLVER)
        asked: list[str] = []
        threading.Thread(target=_answer, args=(resolver, asked), daemon=True).start()
        done = subprocess.run(sys.argv[1:], check=False, stdout=sys.stderr)
    sys.stdout.write(json.dumps({"asked": asked, "unreachable": _unreachable()}) + "\n")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
