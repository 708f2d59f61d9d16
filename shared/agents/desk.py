"""What a node of a job's graph works with. Everything it does to the world goes through here.

A node may be run again after its process died, from its top. So what is paid for, kept or run here is named by the job
and a `step`, a name that the node gives it and that is the same at every run: a repeat of a finished step gives the
answer of before, and costs nothing. A node makes at most one paid call. What it returns stays small: references to
artifacts, and not their bytes.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from shared.tools.models import Passage

__all__ = ["ArtifactRef", "ChatAnswer", "Desk", "Filming", "NotYet", "Painting", "Passage", "RunResult"]


class Painting(Struct, frozen=True):
    """A picture to be made."""

    model: str
    prompt: str
    size: str


class Filming(Struct, frozen=True):
    """A video to be made."""

    model: str
    seconds: int


class ArtifactRef(Struct, frozen=True):
    """Something a job made. Its bytes lie outside the state, under the hash of what they are."""

    artifact_id: str
    """The SHA-256 of the bytes, in hexadecimal."""
    name: str
    media_type: str
    size_bytes: int


class ChatAnswer(Struct, frozen=True):
    """What a model said, and what that was charged."""

    text: str
    tool_calls: tuple[dict[str, Any], ...] = ()
    """As OpenAI's chats write them."""
    cost_micros: int = 0


class RunResult(Struct, frozen=True):
    """What came of a program that ran confined."""

    exit_code: int
    stdout: str
    stderr: str
    files: Mapping[str, bytes] = {}
    """What it wrote, by name."""


class NotYet(Exception):
    """What a node waits for is not there yet. The node lets it through: it is run again from its top after a while."""

    def __init__(self, after_ms: int) -> None:
        super().__init__(f"again after {after_ms} ms")
        self.after_ms = after_ms


class Desk(Protocol):
    """One job's. All raise JobTaken once another process has the job; a node lets that through."""

    async def chat(
        self,
        step: str,
        messages: list[dict[str, Any]],
        *,
        model: str | None = None,
        tokens_max: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> ChatAnswer:
        """Ask a model, the job's own unless another is named. Charged once for each step, within the job's ceiling.

        Raise BudgetReached, CancelAsked or what the provider did; a node lets all of them through.
        """

    async def paint(self, step: str, prompt: str, *, model: str, size: str = "1024x1024") -> ArtifactRef:
        """One picture, kept as an artifact. Charged and raising like `chat`."""

    async def film(self, step: str, prompt: str, *, model: str, seconds: int, size: str = "1280x720") -> ArtifactRef:
        """One video, kept as an artifact; asked for once, and charged by the second once it is there.

        Raise NotYet until then, VideoFailed if it never will be, or what `chat` raises.
        """

    async def note(self, kind: str, text: str, **facts: str | int) -> None:
        """Tell the owner how far the job is: an event with the next number. Several within a short time are written
        together; an equal one that was told before its process died may be told again.
        """

    async def keep(self, name: str, media_type: str, data: bytes) -> ArtifactRef:
        """Keep an artifact for the owner to download. A repeat with the same bytes keeps it once."""

    async def read(self, ref: ArtifactRef) -> bytes:
        """The bytes of an artifact of this job. Raise ArtifactAbsent."""

    async def run_python(self, step: str, code: str, files: Mapping[str, bytes]) -> RunResult:
        """Run a program confined: bounded time and memory, no network, and only these files."""

    async def search(self, query: str, *, count: int) -> list[Passage]:
        """The passages nearest to the query, best first."""
