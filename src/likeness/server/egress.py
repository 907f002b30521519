"""The kernel's refusal of connections from this process (seccomp), where the settings need none.

The filter allows no new socket but local ones. What listens already goes on: an accepted connection needs no new one.
The filter holds for every library of the process, for its threads and for the processes that it starts. Nothing can
remove it.
"""

import ctypes
import errno
import logging
import os
import platform
import struct
import sys
from dataclasses import dataclass

from likeness.settings import Settings

log = logging.getLogger("likeness")
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
"""Instructions of the classic BPF: load a word, jump if equal, jump if greater or equal, return."""
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
"""Places in ``struct seccomp_data``. The words are little-endian."""
_IO_URING_SETUP = 425
_LOCAL = 1
"""AF_UNIX."""
_X32 = 0x40000000
"""Bit of the calls of another interface on x86-64."""
_SET_MODE_FILTER, _ALL_THREADS = 1, 1


@dataclass(frozen=True, slots=True)
class _Machine:
    """What audit.h and unistd.h say of an architecture."""

    architecture: int
    socket: int
    seccomp: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, socket=41, seccomp=317),
    "aarch64": _Machine(0xC00000B7, socket=198, seccomp=277),
}


def close_egress(settings: Settings) -> None:
    """Let the kernel refuse every connection from now on, if the settings forbid webhooks and name only local stores.

    The process must have ``PR_SET_NO_NEW_PRIVS``. Where the kernel cannot refuse, a warning says so.
    """
    if settings.egress != "none":
        return
    if settings.needs_network:
        log.warning(
            "LIKENESS_EGRESS=none: the server opens no connection but to its database, image store and Ray. As these "
            "are on the network, the kernel does not enforce it: limit the process with a firewall, too"
        )
    elif fault := _forbid_sockets():
        log.warning("LIKENESS_EGRESS=none is not enforced by the kernel: %s", fault)
    else:
        log.info("the kernel refuses every connection from this process")


def _forbid_sockets() -> str | None:
    """Install the filter in all threads. Give the reason if that is not possible."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or sys.byteorder != "little" or machine is None:
        return "this system has no seccomp filter that Likeness knows"
    program = _program(machine)
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    call = ctypes.CDLL(None, use_errno=True).syscall
    if call(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.create_string_buffer(filter_, len(filter_))):
        return os.strerror(ctypes.get_errno())
    return None


def _program(machine: _Machine) -> bytes:
    """Give the filter. A jump's two numbers say how many instructions are skipped if it holds, and if not."""
    lines = (
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 0, 7, machine.architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _X32),
        (_EQUAL, 5, 0, _IO_URING_SETUP),  # it makes sockets, too
        (_EQUAL, 0, 2, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _LOCAL),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.EACCES),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    )
    return b"".join(struct.pack("HBBI", *line) for line in lines)
