"""The folder of a confined program: what is laid into it, and what is taken out again."""

import os
import stat
from collections.abc import Iterator, Mapping

FOLDER = "/sandbox"
"""Where it is, in a root of its own, and how it is called in what programs print."""
DEPTH_MAX = 8
NAME_BYTES_MAX = 100
"""Of a file's or a folder's name; what is longer is not given back."""
PROGRAM = "__main__.py"
"""The program itself, so that its tracebacks show its lines."""


def lay_out(folder: str, code: str, files: Mapping[str, bytes], *, owner: int) -> None:
    """Write program and files. Their names were checked by who asks."""
    for name, content in {PROGRAM: code.encode(errors="surrogatepass"), **files}.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as opened:
            opened.write(content)
    for hidden in (".tmp", ".config"):
        os.makedirs(os.path.join(folder, hidden), exist_ok=True)
    with open(os.path.join(folder, ".config", "matplotlibrc"), "w", encoding="ascii") as opened:
        # The names inside an SVG are the same at every run.
        opened.write("svg.hashsalt: sandbox\n")
    if os.getuid() != owner:
        for path, _, names in os.walk(folder):
            for place in (path, *(os.path.join(path, name) for name in names)):
                os.chown(place, owner, owner)


def taken_out(
    folder: str, given: Mapping[str, bytes], *, files_max: int, files_bytes_max: int
) -> tuple[dict[str, bytes], int]:
    """What is new or changed, by name, and how much else there was. Called when nobody writes there any more.

    Only plain files are opened: a link may lead anywhere, and a pipe keeps its reader waiting.
    """
    found: dict[str, bytes] = {}
    left_out, room = 0, files_bytes_max
    for name, path in _walk(folder, "", DEPTH_MAX):
        if name == PROGRAM:
            continue
        size = os.lstat(path).st_size
        if not stat.S_ISREG(os.lstat(path).st_mode) or len(found) >= files_max or size > room:
            left_out += 1
            continue
        content = _read(path, room)
        if given.get(name) != content:
            found[name] = content
            room -= len(content)
    return found, left_out


def size_bytes(folder: str) -> int:
    """How much lies there now, while somebody writes."""
    total = 0
    for _, path in _walk(folder, "", DEPTH_MAX):
        try:
            total += os.lstat(path).st_blocks * 512
        except OSError:
            continue
    return total


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__" or not _is_told(entry.name):
            continue
        if not entry.is_dir(follow_symlinks=False):
            yield prefix + entry.name, entry.path
        elif depth > 0:
            yield from _walk(entry.path, f"{prefix}{entry.name}/", depth - 1)


def _is_told(name: str) -> bool:
    """False for a name that no document could say, that is too long, or that does not show what it is."""
    try:
        return len(name.encode()) <= NAME_BYTES_MAX and name.isprintable()
    except UnicodeEncodeError:
        return False


def _read(path: str, bytes_max: int) -> bytes:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        # It took its own rights to the file away.
        return b""
    with open(opened, "rb") as file:
        return file.read(bytes_max)
