"""The program by which the kernel decides about each system call (seccomp), written out instruction by instruction.

Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

import errno
import struct
from collections.abc import Iterable

from shared.tools.confinement import system_calls as calls

_LOAD, _AND, _IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_ALLOW, _END, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where in `struct seccomp_data` they stand."""
THREAD = 0x00010000 | 0x00000100
"""CLONE_THREAD and CLONE_VM: what makes a thread and not a process."""
NEW_WORLDS = 0x7E020000
"""Every flag by which clone makes a namespace."""
UNIX, STREAM, KIND_OF_SOCKET = 1, 1, 0xF

Instruction = tuple[int, int, int, int]


def program(pid: int, *, threads: bool) -> bytes:
    """The filter for the process `pid`, as the kernel takes it. Without `threads` it can start none."""
    refused = _returned(_REFUSE | errno.EPERM)
    parts: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, calls.ARCHITECTURE),
        _returned(_END),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in calls.FREE.values():
        parts += [(_IF_EQUAL, 0, 1, number), _returned(_ALLOW)]
    # Its arguments lie in memory, which no filter sees; the C library then asks for the older call.
    parts += [(_IF_EQUAL, 0, 1, calls.CLONE3), _returned(_REFUSE | errno.ENOSYS)]
    if threads:
        parts += _when(calls.CLONE, _argument(0, {THREAD}, mask=THREAD | NEW_WORLDS))
    parts += _when(calls.FCNTL, _argument(1, calls.FCNTL_COMMANDS))
    parts += _when(calls.IOCTL, _argument(1, calls.IOCTL_REQUESTS))
    parts += _when(calls.PRCTL, _argument(0, calls.PRCTL_OPTIONS))
    parts += _when(calls.KILL, _argument(0, {pid}))
    parts += _when(calls.TGKILL, _argument(0, {pid}))
    # Reading a limit of its own: the pointer to a new one is null in both its halves.
    parts += _when(calls.PRLIMIT, [*_argument(0, {0, pid}), *_argument(2, {0}), *_argument(2, {0}, half=4)])
    # A pair is connected already. One of datagrams could still send to an address.
    parts += _when(calls.SOCKETPAIR, [*_argument(0, {UNIX}), *_argument(1, {STREAM}, mask=KIND_OF_SOCKET)])
    return b"".join(struct.pack("HBBI", *part) for part in [*parts, refused])


def _returned(what: int) -> Instruction:
    return (_RETURN, 0, 0, what)


def _argument(index: int, values: Iterable[int], *, mask: int | None = None, half: int = 0) -> list[Instruction]:
    """Go on if half of an argument, masked, is one of the values; refuse the call if it is none."""
    wanted = sorted(values)
    checks: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * index + half)]
    if mask is not None:
        checks.append((_AND, 0, 0, mask))
    # From each comparison that fits on past the rest of them and the refusal behind.
    checks += [(_IF_EQUAL, len(wanted) - place, 0, value) for place, value in enumerate(wanted)]
    return [*checks, _returned(_REFUSE | errno.EPERM)]


def _when(number: int, checks: list[Instruction]) -> list[Instruction]:
    """Allow a call that passes the checks. They end the filter, so what follows still finds the number loaded."""
    return [(_IF_EQUAL, 0, len(checks) + 1, number), *checks, _returned(_ALLOW)]
