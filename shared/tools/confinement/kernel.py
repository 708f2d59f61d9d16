"""The few calls of the Linux kernel that Python's standard library has no name for."""

import ctypes
import os
import struct

NEW_NAMESPACES = 0x00020000 | 0x40000000 | 0x20000000 | 0x08000000 | 0x04000000
"""Mounts, network, processes, shared memory, the machine's name."""
NEW_USERS = 0x10000000
READ_ONLY, NO_SETUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000, 0x40000
_DETACH = 2
_PIVOT_ROOT, _SECCOMP, _CAPSET = 155, 317, 126
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38
_PATH_BENEATH = 1
_CAPABILITIES_VERSION = 0x20080522

_library = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces of the parent. Raise OSError."""
    _checked(_library.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Raise OSError."""
    encoded = (source.encode(), target.encode(), kind.encode())
    _checked(_library.mount(*encoded, ctypes.c_ulong(flags), options.encode() or None), "mount")


def enter_root(folder: str) -> None:
    """Make a mounted folder the root, and let go of the old one. Raise OSError."""
    os.chdir(folder)
    _called(_PIVOT_ROOT, b".", b".")
    # The old root now lies over the new one, at the same place.
    _checked(_library.umount2(b".", _DETACH), "umount2")
    os.chdir("/")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send the signal to this process when its parent ends."""
    _checked(_library.prctl(_PARENT_DEATH_SIGNAL, signal_number, 0, 0, 0), "prctl")


def gain_nothing() -> None:
    """No program that this process starts has more rights than it. A filter is taken from nobody else."""
    _checked(_library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Have none, whoever the user is."""
    header = struct.pack("IiIIIIII", _CAPABILITIES_VERSION, 0, 0, 0, 0, 0, 0, 0)
    _called(_CAPSET, header[:8], header[8:])


def filter_calls(program: bytes) -> None:
    """Put a seccomp filter on this process for good. Raise OSError."""
    count = len(program) // 8
    buffer = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("HxxxxxxQ", count, ctypes.addressof(buffer))
    _called(_SECCOMP, 1, 0, pointer)


def landlock_version() -> int:
    """Which Landlock the kernel has; zero for none."""
    return max(0, int(_library.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def landlock_rules(files: int, network: int, scopes: int) -> int:
    """A new set of rules, as a descriptor: what of files, network and scopes is denied unless a rule allows it."""
    rules = struct.pack("QQQ", files, network, scopes)
    size = 24 if scopes else 16 if network else 8
    return _called(_LANDLOCK_CREATE, rules, ctypes.c_size_t(size), 0)


def landlock_allow(rules: int, path: str, rights: int) -> None:
    """Allow below the path. Raise OSError."""
    opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        _called(_LANDLOCK_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def landlock_enter(rules: int) -> None:
    """Keep to the rules for good."""
    _called(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def _called(number: int, *arguments: object) -> int:
    return _checked(int(_library.syscall(number, *arguments)), f"system call {number}")


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), what)
    return result
