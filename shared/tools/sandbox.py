"""Runs programs that nobody read: bounded, without a network, and with nothing to see but the files they are given.

Such a program is a process of its own, which `confinement/launch.py` confines in layers: namespaces with a root of
their own, Landlock, limits, and a filter of system calls. The filter always, and of the first two at least one, or it
is not run: docs/decisions/0031.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from shared.base.log import write_line
from shared.tools.confinement.folder import FOLDER
from shared.tools.confinement.plan import Plan, Report, packed, unpacked
from shared.tools.errors import ProgramInvalid, SandboxUnavailable
from shared.tools.models import Ended, Limits, Ran

PACKAGES = ("pandas", "matplotlib", "numpy")
"""What programs may import beside the standard library, with all that these need."""
CODE_BYTES_MAX = 256 * 1024
GRACE_S = 15.0
"""For building what stands around a program, and reading what it left."""
AT_ONCE_MAX = 2
"""Each may use a whole processor and its memory; more wait."""
_ROOT = str(Path(__file__).parent.parent.parent)
_START = "import sys; sys.path.insert(0, sys.argv[1]); from shared.tools.confinement.launch import main; main()"
_FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8")
"""No packages but those we name, nothing imported from where it starts, nothing written beside sources."""
_ENVIRONMENT = {
    "PATH": "/nowhere",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",  # Sets in the same order at every run.
    "MPLBACKEND": "Agg",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "SOURCE_DATE_EPOCH": "0",  # The time that a chart says it was drawn at.
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,4}")


class Sandbox:
    """Belongs to one event loop."""

    def __init__(
        self, limits: Limits | None = None, *, namespaces: bool = True, at_once_max: int = AT_ONCE_MAX
    ) -> None:
        """Without `namespaces` there is no try for them, as on a machine that has none."""
        self._limits = limits or Limits()
        self._namespaces = namespaces
        self._places = asyncio.Semaphore(at_once_max)

    async def run(self, code: str, files: Mapping[str, bytes] | None = None, *, limits: Limits | None = None) -> Ran:
        """Run a Python program in a folder with the files. Raise ProgramInvalid or SandboxUnavailable.

        Whatever goes wrong inside is no error here but in the answer. A cancelled run is ended before this returns.
        """
        limits = limits or self._limits
        given = dict(files or {})
        _check(code, given, limits)
        async with self._places:
            with tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True) as stage:
                report = await self._report(self._plan(code, given, stage, limits), limits)
        if report.refused:
            write_line("ERROR", "sandbox_refused", reason=report.refused)
            raise SandboxUnavailable
        return Ran(
            ended=Ended(report.ended),
            exit_code=report.exit_code,
            stdout=_printed(report.stdout, stage),
            stderr=_printed(report.stderr, stage),
            files=report.files,
            files_left_out=report.files_left_out,
            layers=report.layers,
        )

    def _plan(self, code: str, files: Mapping[str, bytes], stage: str, limits: Limits) -> Plan:
        return Plan(
            code=code,
            files=files,
            packages=_package_folders(),
            stage=stage,
            wall_s=limits.wall_s,
            cpu_s=limits.cpu_s,
            memory_bytes_max=limits.memory_bytes_max,
            output_bytes_max=limits.output_bytes_max,
            files_bytes_max=limits.files_bytes_max,
            files_max=limits.files_max,
            threads_max=limits.threads_max,
            namespaces=self._namespaces,
        )

    async def _report(self, plan: Plan, limits: Limits) -> Report:
        try:
            process = await _started()
        except OSError as error:
            # Nobody's fault but the machine's, which may have a process to spare later.
            raise _unavailable(error) from None
        try:
            async with asyncio.timeout(limits.wall_s + GRACE_S):
                said, _ = await process.communicate(packed(plan))
            return Report(**unpacked(said))
        except (TimeoutError, ValueError, TypeError) as error:
            raise _unavailable(error) from None
        finally:
            # Its child dies with it; so does everything, should this be cancelled.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _started() -> asyncio.subprocess.Process:
    """The process that confines a program, waiting for its plan. Raise OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *_FLAGS,
        "-c",
        _START,
        _ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


def _unavailable(error: Exception) -> SandboxUnavailable:
    write_line("ERROR", "sandbox_failed", error=type(error).__name__)
    return SandboxUnavailable()


def _check(code: str, files: Mapping[str, bytes], limits: Limits) -> None:
    if len(code.encode(errors="surrogatepass")) > CODE_BYTES_MAX:
        raise ProgramInvalid(f"A program has at most {CODE_BYTES_MAX} bytes.")
    if len(files) > limits.files_max or sum(map(len, files.values())) > limits.files_bytes_max:
        raise ProgramInvalid(f"A program is given at most {limits.files_max} files of {limits.files_bytes_max} bytes.")
    for name in files:
        if not _NAME.fullmatch(name) or ".." in name or name == "__main__.py":
            raise ProgramInvalid("A file's name is of letters, digits, points, dashes and underscores.")


def _printed(output: bytes, stage: str) -> str:
    """As text that is the same at every run, wherever its folder was."""
    return output.decode(errors="replace").replace(stage, FOLDER)


def _package_folders() -> tuple[str, ...]:
    """Where the packages are installed. Finding one does not import it."""
    found = (importlib.util.find_spec(name) for name in PACKAGES)
    return tuple(
        dict.fromkeys(str(Path(spec.origin).resolve().parent.parent) for spec in found if spec and spec.origin)
    )
