"""What jobs work with beside models, each behind a protocol."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from shared.agents.desk import Passage, RunResult
from shared.tools.models import Ended

if TYPE_CHECKING:
    from shared.tools.sandbox import Sandbox as ProgramSandbox


class Search(Protocol):
    """Something that can be searched: a corpus, or the web."""

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages nearest to the query, best first."""


class Sandbox(Protocol):
    """Something that runs programs confined."""

    async def run(self, code: str, files: Mapping[str, bytes]) -> RunResult:
        """Run a Python program over these files."""


class Confined:
    """The sandbox of `shared/tools`, for desks. How a program was ended stands at the end of its errors."""

    def __init__(self, sandbox: "ProgramSandbox") -> None:
        self._sandbox = sandbox

    async def run(self, code: str, files: Mapping[str, bytes]) -> RunResult:
        """Raise ProgramInvalid or SandboxUnavailable."""
        ran = await self._sandbox.run(code, files)
        ended = "" if ran.ended is Ended.FINISHED else f"\nThe program was ended: {ran.ended.value}.\n"
        # One that was ended has not succeeded, whatever number it left.
        exit_code = ran.exit_code or (1 if ended else 0)
        return RunResult(exit_code, ran.stdout, ran.stderr + ended, ran.files)


class Tools(Struct, frozen=True):
    """What there is. Without a sandbox no program is run."""

    search: Search
    sandbox: Sandbox | None = None
