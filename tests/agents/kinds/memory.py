"""A desk in memory: what a kind needs of the engine, with scripted models and painters, and the real sandbox.

It keeps what the engine promises: a finished step is answered again from memory and charged once.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from shared.agents.desk import ArtifactRef, ChatAnswer, Passage, RunResult
from shared.agents.kind import Kind
from shared.base.errors import CredenceError
from shared.tools.sandbox import Sandbox

COST_MICROS = 1_000
Scripted = str | CredenceError | Callable[[str], str]


class Killed(Exception):
    """The process died here."""


class MemoryDesk:
    """Scripted by step. `dies_at` lists moments: twice a call's number before its effect, and one more after it."""

    def __init__(self, script: Mapping[str, Scripted | list[Scripted]] | None = None) -> None:
        self.script = {name: list(what) if isinstance(what, list) else [what] for name, what in (script or {}).items()}
        self.asked: list[tuple[str, str]] = []
        self.charges: dict[str, int] = {}
        self.notes: list[tuple[str, str, dict[str, str | int]]] = []
        self.kept: dict[str, bytes] = {}
        self.runs: list[str] = []
        self.done: dict[str, Any] = {}
        self.dies_at: set[int] = set()
        self.calls = 0
        self._sandbox = Sandbox()

    async def chat(
        self,
        step: str,
        messages: list[dict[str, Any]],
        *,
        model: str | None = None,
        tokens_max: int,
        tools: list[dict[str, Any]] | None = None,
    ) -> ChatAnswer:
        self._die_before()
        if step not in self.done:
            text = self._scripted(step, str(messages[-1]["content"]))
            self.done[step] = ChatAnswer(text, cost_micros=COST_MICROS)
            self.charges[step] = self.charges.get(step, 0) + COST_MICROS
        self._die_after()
        answer: ChatAnswer = self.done[step]
        return answer

    async def paint(self, step: str, prompt: str, *, model: str, size: str = "1024x1024") -> ArtifactRef:
        self._die_before()
        if step not in self.done:
            picture = self._scripted(step, prompt)
            self.done[step] = await self.keep(f"{step}.png", "image/png", picture.encode())
            self.charges[step] = self.charges.get(step, 0) + COST_MICROS
        self._die_after()
        ref: ArtifactRef = self.done[step]
        return ref

    async def note(self, kind: str, text: str, **facts: str | int) -> None:
        self.notes.append((kind, text, facts))

    async def keep(self, name: str, media_type: str, data: bytes) -> ArtifactRef:
        ref = ArtifactRef(hashlib.sha256(data).hexdigest(), name, media_type, len(data))
        self.kept[ref.artifact_id] = data
        return ref

    async def read(self, ref: ArtifactRef) -> bytes:
        return self.kept[ref.artifact_id]

    async def run_python(self, step: str, code: str, files: Mapping[str, bytes]) -> RunResult:
        self._die_before()
        if step not in self.done:
            ran = await self._sandbox.run(code, files)
            self.runs.append(step)
            self.done[step] = RunResult(ran.exit_code, ran.stdout, ran.stderr, ran.files)
        self._die_after()
        result: RunResult = self.done[step]
        return result

    async def search(self, query: str, *, count: int) -> list[Passage]:
        return []

    def _scripted(self, step: str, asked: str) -> str:
        self.asked.append((step, asked))
        answers = self.script[step]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, CredenceError):
            raise answer
        return answer(asked) if callable(answer) else answer

    def _die_before(self) -> None:
        self.calls += 1
        if 2 * self.calls in self.dies_at:
            raise Killed

    def _die_after(self) -> None:
        if 2 * self.calls + 1 in self.dies_at:
            raise Killed


async def run(kind: Kind, params: Struct, desk: MemoryDesk) -> dict[str, Any]:
    """The result of a job of the kind, started again from its last checkpoint wherever the desk has it die."""
    from langgraph.checkpoint.memory import InMemorySaver

    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": kind.steps_max}
    given: Any = kind.first_state(params)
    while True:
        graph: Any = kind.graph(desk).compile(checkpointer=saver)
        try:
            state = await graph.ainvoke(given, config, durability="sync")
        except Killed:
            given = None if saver.get_tuple(config) else given
            continue
        result: dict[str, Any] = state["result"]
        return result
