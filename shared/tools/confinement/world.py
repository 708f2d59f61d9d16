"""What a confined program sees of the machine: a root of its own with the interpreter's libraries and one folder."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable

from shared.tools.confinement import kernel
from shared.tools.confinement.folder import FOLDER

SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/ld.so.cache",
)
DEVICES = ("/dev/null", "/dev/urandom")
FILES_MAX = 1_024
_ROOT_OPTIONS = "size=1m,nr_inodes=4096,mode=755"


def leave_namespaces() -> bool:
    """Leave those of the parent, as whoever this is, or as a user of a namespace of its own. False where none may."""
    with contextlib.suppress(OSError):
        kernel.unshare(kernel.NEW_NAMESPACES)
        return True
    uid, gid = os.getuid(), os.getgid()
    try:
        kernel.unshare(kernel.NEW_USERS | kernel.NEW_NAMESPACES)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    except OSError:
        return False
    return True


def build(stage: str, readable: Iterable[str], *, owner: int, files_bytes_max: int) -> None:
    """Make the new root at `stage`, and enter it. What is not readable is not there: no /proc, no /home, no source of
    ours.
    """
    kernel.mount("none", "/", "", kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("tmpfs", stage, "tmpfs", kernel.NO_SETUID | kernel.NO_DEVICES, _ROOT_OPTIONS)
    for path in DEVICES:
        _bind(stage, path, kernel.NO_SETUID)
    for path in readable:
        _show(stage, path)
    target = stage + FOLDER
    os.mkdir(target)
    options = f"size={files_bytes_max},nr_inodes={FILES_MAX},mode=700,uid={owner},gid={owner}"
    kernel.mount("tmpfs", target, "tmpfs", kernel.NO_SETUID | kernel.NO_DEVICES, options)
    kernel.enter_root(stage)
    kernel.mount("none", "/", "", kernel.REMOUNT | kernel.READ_ONLY | kernel.NO_SETUID | kernel.NO_DEVICES)


def _show(stage: str, path: str) -> None:
    """The path as it is, a link as a link; what is not there is left out."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(mode):
        _bind(stage, path, kernel.READ_ONLY | kernel.NO_SETUID | kernel.NO_DEVICES)
    elif not os.path.lexists(stage + path):
        os.makedirs(os.path.dirname(stage + path), exist_ok=True)
        os.symlink(os.readlink(path), stage + path)


def _bind(stage: str, path: str, flags: int) -> None:
    target = stage + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    kernel.mount(path, target, "", kernel.BIND)
    try:
        kernel.mount("none", target, "", kernel.REMOUNT | kernel.BIND | flags)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        # In a namespace of users what the machine's own mount forbids stays forbidden, and has to be said again.
        kept = os.statvfs(path).f_flag & (os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME | os.ST_RELATIME | 0xF)
        kernel.mount("none", target, "", kernel.REMOUNT | kernel.BIND | flags | _as_mount_flags(kept))


def _as_mount_flags(shown: int) -> int:
    """What statvfs shows, as mount takes it: only the last three differ."""
    moved = {os.ST_NOATIME: 0x400, os.ST_NODIRATIME: 0x800, os.ST_RELATIME: 0x200000}
    return (shown & 0xF) | sum(flag for seen, flag in moved.items() if shown & seen)


def _write(path: str, text: str) -> None:
    opened = os.open(path, os.O_WRONLY)
    try:
        os.write(opened, text.encode())
    finally:
        os.close(opened)
