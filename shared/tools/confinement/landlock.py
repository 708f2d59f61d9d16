"""Which paths a confined program may open, said to the kernel's Landlock. It holds with and without a root of its own.

Source: https://docs.kernel.org/userspace-api/landlock.html
"""

import os
from collections.abc import Iterable

from shared.tools.confinement import kernel

_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_FILE, _MAKE_LINK, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 12, 1 << 13, 1 << 14
_READ = _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _MAKE_LINK
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All that a version of Landlock can deny of files. No program is executed, no socket or device is made."""
_NETWORK, _SCOPES = 0b11, 0b11
"""Binding and connecting over TCP; sockets without a path, and signals, of others."""


def enter(version: int, *, folder: str, readable: Iterable[str], devices: Iterable[str]) -> None:
    """Keep this process for good to reading what is readable, and changing the folder."""
    handled = _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]
    rules = kernel.landlock_rules(handled, _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    kernel.landlock_allow(rules, folder, (_READ | _CHANGE | _REFER | _TRUNCATE) & handled)
    for path in readable:
        if os.path.exists(path):
            rights = _READ if os.path.isdir(path) else _READ_FILE
            kernel.landlock_allow(rules, path, rights)
    for path in devices:
        kernel.landlock_allow(rules, path, (_READ_FILE | _WRITE_FILE) & handled)
    kernel.landlock_enter(rules)
