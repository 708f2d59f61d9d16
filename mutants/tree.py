"""Copies of the tree with something changed in them, and what the test suites say of it.

Nothing is ever changed in the tree itself.
"""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

ROOT = Path(__file__).parent.parent
COPIED = (
    *("shared", "functions", "credence", "simulation", "local", "bench", "mutants", "infra", "tests"),
    *(
        "main.py",
        "README.md",
        "pyproject.toml",
        "package.json",
        "firebase.json",
        "firestore.rules",
        "firestore.indexes.json",
    ),
)
LINKED = (".venv", "node_modules", ".cache")
"""Large and never changed: what the local stack runs."""
AT_ONCE = 2
"""As many as there are cores on a small machine."""
TIMEOUT_S = 180.0
"""Far beyond what any of the suites takes, also beside others."""
STOP_TIMEOUT_S = 30.0
"""For pytest to end the stack's processes when it is interrupted."""
FAILED, INTERRUPTED = 1, 2
OPTIONS = ("-x", "-q", "--tb=no", "-rfE", "--hypothesis-seed=0", "-p", "no:cacheprovider")
PLUGINS = ("-p", "asyncio", "-p", "hypothesispytest")
ENVIRONMENT = {
    # A changed file may be as old and as long as the one before, to the second and the byte: nothing is kept compiled.
    "PYTHONDONTWRITEBYTECODE": "1",
    # Plugins that no suite here needs take two thirds of the time that pytest takes to start.
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}

Item = TypeVar("Item")
Result = TypeVar("Result")


class Change(Struct, frozen=True):
    """A file with other text in it, and the suites that are asked about it."""

    path: str
    text: str
    suites: tuple[str, ...]
    on_stack: bool = False
    """Whether the suites' tests on the emulators are asked, and not the fast ones."""
    timeout_s: float = TIMEOUT_S


class Verdict(Struct, frozen=True):
    """What the suites said: the first test that failed, or the file that could not be loaded, if there is one."""

    failed: str | None
    ended: bool = True


UNNOTICED = Verdict(None)
"""All tests passed."""


class SuitesBroken(Exception):
    """The suites could not be run."""


@contextmanager
def copies(count: int) -> Iterator[list[Path]]:
    """Copies of the tree, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="credence-mutants-") as folder:
        made = [Path(folder) / str(number) for number in range(count)]
        for copy in made:
            _copy_to(copy)
        yield made


def _copy_to(copy: Path) -> None:
    copy.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, copy / name)
    for name in LINKED:
        if (ROOT / name).exists():
            (copy / name).symlink_to((ROOT / name).resolve())


def each(items: Iterable[Item], judge: Callable[[Path, Item], Result]) -> Iterator[tuple[Item, Result]]:
    """Judge the items in copies of the tree, a few at a time; they come back in order, as they are done."""
    with copies(AT_ONCE) as made, ThreadPoolExecutor(AT_ONCE) as pool:
        free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for copy in made:
            free.put(copy)

        def in_a_copy(item: Item) -> Result:
            copy = free.get()
            try:
                return judge(copy, item)
            finally:
                free.put(copy)

        listed = list(items)
        try:
            yield from zip(listed, pool.map(in_a_copy, listed), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)


def try_change(copy: Path, change: Change) -> Verdict:
    """What the suites say of a copy with this change, which is taken back afterwards."""
    path = copy / change.path
    before = path.read_text(encoding="utf-8")
    path.write_text(change.text, encoding="utf-8")
    try:
        return run_suites(copy, change.suites, on_stack=change.on_stack, timeout_s=change.timeout_s)
    finally:
        path.write_text(before, encoding="utf-8")


def run_suites(copy: Path, suites: Sequence[str], *, on_stack: bool, timeout_s: float = TIMEOUT_S) -> Verdict:
    """Run the suites in a copy until the first test fails. Raise SuitesBroken when they do not run at all."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, *PLUGINS, "-m", "stack" if on_stack else "not stack", *suites]
    environment = {**os.environ, **ENVIRONMENT}
    pytest = subprocess.Popen(
        command, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        said, _ = pytest.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _stop(pytest)
        return Verdict(None, ended=False)
    named = [line.split(" ")[1] for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if pytest.returncode in (FAILED, INTERRUPTED) and named:
        return Verdict(named[0])
    if pytest.returncode:
        raise SuitesBroken(said[-2_000:])
    return Verdict(None)


def _stop(pytest: subprocess.Popen[str]) -> None:
    pytest.send_signal(signal.SIGINT)
    try:
        pytest.communicate(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pytest.kill()
        pytest.communicate()
