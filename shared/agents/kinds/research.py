"""A job that looks into a topic: it plans questions, looks each up, and writes a report that cites what it found."""

import re
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from msgspec import Meta, to_builtins

from shared.agents.desk import Desk, Passage
from shared.agents.kinds.graph import END, answer_of_owner, graph_of
from shared.base.body import Body

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

QUESTIONS_MAX = 8
PASSAGES_PER_QUESTION = 3
PLAN_TOKENS, READ_TOKENS, REPORT_TOKENS = 300, 400, 1_200
NOTE_CHARS_MAX = 1_200
"""Of what was read for one question; all of it is in the state, and goes into the report's prompt."""
SUMMARY_CHARS_MAX = 600
_SENTENCE = re.compile(r"[^.?!;\n]+[.?!;]?")
_LISTED = re.compile(r"^\s*(?:[-*]|\d+[.)])\s+(.+?)\s*$", re.MULTILINE)


class ResearchParams(Body, frozen=True, kw_only=True):
    """What to find out. With `approve_plan` its owner sees the questions before anything is looked up."""

    topic: Annotated[str, Meta(min_length=3, max_length=2_000)]
    questions_max: Annotated[int, Meta(ge=1, le=QUESTIONS_MAX)] = 4
    approve_plan: bool = False


class ResearchState(TypedDict, total=False):
    """All that is carried from step to step; bounded by QUESTIONS_MAX."""

    topic: str
    questions_max: int
    approve_plan: bool
    questions: list[str]
    notes: list[str]
    sources: list[str]
    """As they are cited: the first is [1]."""
    result: dict[str, Any]


class ResearchKind:
    """Plans, reads, writes."""

    name = "research"
    params = ResearchParams
    steps_max = QUESTIONS_MAX + 8

    def first_state(self, params: ResearchParams) -> dict[str, Any]:
        """Nothing looked up yet."""
        return {**to_builtins(params), "questions": [], "notes": [], "sources": []}

    def orders(self, params: ResearchParams) -> tuple[()]:
        """Its own model alone works at it."""
        return ()

    def steps_expected(self, params: ResearchParams) -> int:
        """One for each question, beside the plan, its approval and the report."""
        return params.questions_max + 3

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """Plan, have the plan approved where that was asked, read question after question, write."""
        steps = _Steps(desk)
        nodes = {"plan": steps.plan, "approve": steps.approve, "read": steps.read, "write": steps.write}
        return graph_of(
            ResearchState, nodes, {"plan": after_plan, "approve": "read", "read": after_reading, "write": END}
        )


def after_plan(state: ResearchState) -> str:
    """To the owner first, where that was asked."""
    return "approve" if state["approve_plan"] else "read"


def after_reading(state: ResearchState) -> str:
    """Read on while questions are left."""
    return "read" if len(state["notes"]) < len(state["questions"]) else "write"


class _Steps:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def plan(self, state: ResearchState) -> dict[str, Any]:
        await self._desk.note("plan", f"Planning how to look into: {state['topic']}")
        asked = (
            f"List at most {state['questions_max']} short questions, one per line and each after a dash, that must "
            f"be answered to write about this topic: {state['topic']}"
        )
        answer = await self._desk.chat("plan", _asked(asked), tokens_max=PLAN_TOKENS)
        questions = questions_in(answer.text, topic=state["topic"], count_max=state["questions_max"])
        for number, question in enumerate(questions, start=1):
            await self._desk.note("question", question, number=number)
        return {"questions": questions}

    async def approve(self, state: ResearchState) -> dict[str, Any]:
        listed = "\n".join(f"- {one}" for one in state["questions"])
        said = answer_of_owner(f"Go on with these questions?\n{listed}")
        # An answer in another form than yes is taken as other questions, one per line.
        if said.strip().lower() in ("yes", "y", "ok"):
            return {}
        return {"questions": questions_in(said, topic=state["topic"], count_max=state["questions_max"])}

    async def read(self, state: ResearchState) -> dict[str, Any]:
        number = len(state["notes"])
        question = state["questions"][number]
        passages = await self._desk.search(question, count=PASSAGES_PER_QUESTION)
        sources = [*state["sources"]]
        for passage in passages:
            if label_of(passage) not in sources:
                sources.append(label_of(passage))
        await self._desk.note("read", question, number=number + 1, passages=len(passages))
        asked = reading(question, passages, sources)
        answer = await self._desk.chat(f"read:{number}", _asked(asked), tokens_max=READ_TOKENS)
        return {"notes": [*state["notes"], answer.text[:NOTE_CHARS_MAX]], "sources": sources}

    async def write(self, state: ResearchState) -> dict[str, Any]:
        await self._desk.note("write", f"Writing from {len(state['sources'])} sources")
        asked = writing(state["topic"], state["questions"], state["notes"])
        answer = await self._desk.chat("write", _asked(asked), tokens_max=REPORT_TOKENS)
        report = report_of(state["topic"], answer.text, state["questions"], state["notes"], state["sources"])
        ref = await self._desk.keep("report.md", "text/markdown", report.encode())
        summary = answer.text[:SUMMARY_CHARS_MAX]
        return {"result": {"text": summary, "artifacts": [to_builtins(ref)], "sources": state["sources"]}}


def _asked(question: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": question}]


def questions_in(text: str, *, topic: str, count_max: int) -> list[str]:
    """The questions that a model listed, or a person; where they listed none, each sentence of the topic is one."""
    listed = [found.strip() for found in _LISTED.findall(text) or _SENTENCE.findall(topic)]
    asked = [one[:300] for one in dict.fromkeys(listed) if one]
    return asked[:count_max] or [topic[:300]]


def label_of(passage: Passage) -> str:
    """How a source is named in the report."""
    return f"{passage.title} ({passage.address or passage.source})"


def reading(question: str, passages: list[Passage], sources: list[str]) -> str:
    """What a model is asked of the passages that were found for one question."""
    quoted = "\n\n".join(f"[{sources.index(label_of(one)) + 1}] {one.text}" for one in passages)
    return (
        f"Answer in a few sentences, from these passages alone, and cite them as [1]. If they do not say, say so.\n\n"
        f"Question: {question}\n\n{quoted or 'Nothing was found.'}"
    )


def writing(topic: str, questions: list[str], notes: list[str]) -> str:
    """What a model is asked once everything is read."""
    read = "\n\n".join(f"{question}\n{note}" for question, note in zip(questions, notes, strict=True))
    return f"Write a short report on this topic from the notes, keeping their citations.\n\nTopic: {topic}\n\n{read}"


def report_of(topic: str, text: str, questions: list[str], notes: list[str], sources: list[str]) -> str:
    """The report as it is kept: what the model wrote, the notes behind it, and what was read."""
    found = "\n\n".join(f"### {question}\n\n{note}" for question, note in zip(questions, notes, strict=True))
    listed = "\n".join(f"{number}. {source}" for number, source in enumerate(sources, start=1))
    return f"# {topic}\n\n{text}\n\n## Notes\n\n{found}\n\n## Sources\n\n{listed}\n"


KIND = ResearchKind()
