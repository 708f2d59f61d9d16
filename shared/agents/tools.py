"""What jobs work with beside models, each behind a protocol."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from shared.agents.desk import Passage, RunResult


class Corpus(Protocol):
    """Something that can be searched."""

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages nearest to the query, best first."""


class Sandbox(Protocol):
    """Something that runs programs confined."""

    async def run(self, code: str, files: Mapping[str, bytes]) -> RunResult:
        """Run a Python program over these files."""


class Tools(Struct, frozen=True):
    """What there is. Without a sandbox no program is run."""

    corpus: Corpus
    sandbox: Sandbox | None = None
