"""Filters of system calls (seccomp).

A filter allows no new socket but local ones. What listens already goes on: an accepted connection needs no new one.
A filter holds for every library of the process, for its threads and for the processes that it starts. Nothing can
remove it.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass

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
    """What audit.h and unistd.h say of an architecture.

    ``others``: execve, execveat, ptrace, process_vm_readv and process_vm_writev.
    """

    architecture: int
    socket: int
    seccomp: int
    others: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(0xC000003E, socket=41, seccomp=317, others=(59, 322, 101, 310, 311)),
    "aarch64": _Machine(0xC00000B7, socket=198, seccomp=277, others=(221, 281, 117, 270, 271)),
}


def forbid_sockets() -> str | None:
    """Forbid all threads new sockets but local ones, for good. Give the reason if the kernel does not.

    The process must have ``PR_SET_NO_NEW_PRIVS``.
    """
    return _install(other_calls=False)


def confine() -> str | None:
    """Forbid new sockets but local ones, other programs, and the memory of other processes, as ``forbid_sockets``."""
    return _install(other_calls=True)


def _install(*, other_calls: bool) -> str | None:
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or sys.byteorder != "little" or machine is None:
        return "this system has no seccomp filter that Likeness knows"
    program = _program(machine, machine.others if other_calls else ())
    instructions = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    call = ctypes.CDLL(None, use_errno=True).syscall
    if call(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.create_string_buffer(filter_, len(filter_))):
        return os.strerror(ctypes.get_errno())
    return None


def _program(machine: _Machine, others: Sequence[int]) -> bytes:
    """Give the filter. A jump's two numbers say how many instructions are skipped if it holds, and if not."""
    count = len(others)
    lines = (
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 0, 7 + count, machine.architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5 + count, 0, _X32),
        (_EQUAL, 5 + count, 0, _IO_URING_SETUP),  # it makes sockets, too
        *((_EQUAL, 3 + count - place, 0, number) for place, number in enumerate(others)),
        (_EQUAL, 0, 2, machine.socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _LOCAL),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.EACCES),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    )
    return b"".join(struct.pack("HBBI", *line) for line in lines)
