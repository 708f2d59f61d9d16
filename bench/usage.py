"""What a running program uses of the machine, read from Linux's /proc."""

import os
from pathlib import Path

from bench.report import BenchFailed
from local.process import Service


def process_id_of(service: Service) -> int:
    """The process of a service. Raise BenchFailed when somebody else started it."""
    if service.child is None:
        raise BenchFailed(f"{service.name} is no process of ours")
    return service.child.popen.pid


def cpu_s(process_id: int) -> float:
    """Processor time that the threads of a process have used so far, to the nanosecond."""
    threads = Path(f"/proc/{process_id}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="utf-8").split()[0]) for thread in threads) / 1e9


def resident_mib(group_id: int) -> float:
    """The memory that a program takes up now, whatever processes it runs as: each child of ours leads its own group."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group_id:
                pages += int((folder / "statm").read_text(encoding="utf-8").split()[1])
        except (ProcessLookupError, FileNotFoundError):
            # It ended while we looked.
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
