"""Where the clients that are not ours live, and how they are run: each in a process of its own."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.node import REPOSITORY

PYTHON = REPOSITORY / ".cache" / "clients" / "bin" / "python"
"""The environment of requirements-clients.txt."""
PROGRAMS = Path(__file__).parent / "programs"
TIMEOUT_S = 240.0
"""LangChain's suite needs a tenth of it; the rest is for a machine that is busy."""


def client_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the developer's own: no keys, no settings, no home."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON.relative_to(REPOSITORY)} is missing: run `make clients`")
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


def run(
    command: Sequence[str | Path], environment: Mapping[str, str], *, sent: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a client to its end, whatever that is."""
    return subprocess.run(
        command,
        cwd=environment["HOME"],
        env=dict(environment),
        input=sent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
