"""What a process leaves behind when it dies: nothing of its memory, which holds keys while they are sent."""

import resource

CORE_BYTES_MAX = 1
"""Too little for any dump to be written, and the one value at which Linux hands none to a collector either: zero bounds
files only. https://man7.org/linux/man-pages/man5/core.5.html"""


def leave_no_core() -> None:
    """For a process that starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    bytes_max = CORE_BYTES_MAX if hard == resource.RLIM_INFINITY else min(hard, CORE_BYTES_MAX)
    resource.setrlimit(resource.RLIMIT_CORE, (bytes_max, bytes_max))
