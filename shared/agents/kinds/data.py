"""A job that answers a question about tables: a model writes the computation, which runs confined on the tables.

What it gives are tables (CSV, JSON) and charts (SVG, PNG) that a program computed, and a short text about them by a
model that saw what the program printed. No figure is a model's guess.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from shared.agents.desk import ArtifactRef, Desk
from shared.agents.kinds.errors import TableUnreadable
from shared.agents.kinds.graph import END, graph_of
from shared.agents.kinds.words import messages, only_block, report_of
from shared.base.body import LAST, Body

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

TABLES_MAX = 4
TABLES_CHARS_MAX = 50_000
"""Of all together: they come with the request, and are a part of the job's own document."""
OUTPUTS_MAX = 24
"""A result names each, and has its bounds."""
REPAIRS_MAX = 4
PROGRAM_TOKENS_MAX, TEXT_TOKENS_MAX = 3_000, 700
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
    ".md": "text/markdown",
}
"""What may come out, by its ending. Anything else that a program leaves is not kept."""
_PLANNER = (
    "You write one Python 3.11 program that answers a question about CSV tables in its folder with pandas. It writes "
    "tables as .csv or .json and charts with matplotlib as .svg or .png into its folder, and prints the figures that "
    "the answer rests on, each with a word of what it is. No network, no subprocesses. Answer with one fenced block."
)
_TELLER = (
    "You tell in at most 120 plain words what a computation found. Use the figures that it printed and no others. "
    "Say what they do not show."
)
_LOOK = """
import glob, pandas
for name in sorted(glob.glob("*.csv")):
    table = pandas.read_csv(name)
    print(f"{name}: {len(table)} rows")
    for column in list(table.columns)[:40]:
        values = table[column]
        shown = ", ".join(str(value)[:40] for value in values.dropna().unique()[:5])
        print(f"  {str(column)[:60]}: {values.dtype}, {int(values.isna().sum())} missing, such as {shown}")
"""

TableName = Annotated[str, Meta(pattern=rf"^[a-z0-9_-]{{1,40}}\.csv{LAST}")]


class DataParams(Body, frozen=True, kw_only=True):
    """The question, and the tables by the names of their files."""

    question: Annotated[str, Meta(min_length=1, max_length=4_000)]
    tables: Annotated[dict[TableName, str], Meta(min_length=1, max_length=TABLES_MAX)]
    repairs_max: Annotated[int, Meta(ge=0, le=REPAIRS_MAX)] = 2

    def __post_init__(self) -> None:
        """Raise ValueError, which the decoder reports, for more than a job takes."""
        if sum(map(len, self.tables.values())) > TABLES_CHARS_MAX:
            raise ValueError(f"tables have at most {TABLES_CHARS_MAX} characters together")


class DataState(TypedDict, total=False):
    """References to tables, program and outputs, and what was printed."""

    question: str
    given: dict[str, str] | None
    repairs_max: int
    tables: list[dict[str, Any]]
    shape: str
    program: dict[str, Any]
    repairs: int
    works: bool
    report: str
    outputs: list[dict[str, Any]]
    left_out: int
    result: dict[str, Any]


class DataKind:
    """Looks, plans, computes, repairs, tells."""

    name = "data"
    params = DataParams
    steps_max = 2 * REPAIRS_MAX + 8

    def first_state(self, params: DataParams) -> dict[str, Any]:
        """The tables as they were given; the first step puts them out of the state."""
        return {
            "question": params.question,
            "given": dict(params.tables),
            "repairs_max": params.repairs_max,
            "repairs": 0,
            "outputs": [],
        }

    def orders(self, params: DataParams) -> tuple[()]:
        """Its own model alone works at it."""
        return ()

    def steps_expected(self, params: DataParams) -> int:
        """Most first programs work."""
        return 5

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """Look at the tables, plan, compute and repair until the program works, then tell."""
        steps = _Steps(desk)
        nodes = {
            "look": steps.look,
            "plan": steps.plan,
            "compute": steps.compute,
            "repair": steps.repair,
            "tell": steps.tell,
            "give_up": steps.give_up,
        }
        straight = {"look": "plan", "plan": "compute", "repair": "compute", "tell": END, "give_up": END}
        return graph_of(DataState, nodes, {**straight, "compute": after_compute})


def after_compute(state: DataState) -> str:
    """A program that fails is repaired while there are repairs left, and not explained away."""
    if state["works"]:
        return "tell"
    return "repair" if state["repairs"] < state["repairs_max"] else "give_up"


def media_type_of(name: str) -> str | None:
    """By its ending; None for what is not kept."""
    return MEDIA_TYPES.get(f".{name.rpartition('.')[2].lower()}") if "." in name else None


class _Steps:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def look(self, state: DataState) -> dict[str, Any]:
        given = state["given"] or {}
        files = {name: text.encode(errors="replace") for name, text in given.items()}
        ran = await self._desk.run_python("look", _LOOK, files)
        if ran.exit_code != 0:
            raise TableUnreadable(report_of(ran.stderr))
        tables = [msgspec.to_builtins(await self._desk.keep(name, "text/csv", data)) for name, data in files.items()]
        await self._desk.note("looked", f"{len(tables)} table{'s' if len(tables) > 1 else ''} read.")
        return {"given": None, "tables": tables, "shape": report_of(ran.stdout)}

    async def plan(self, state: DataState) -> dict[str, Any]:
        await self._desk.note("planning", "Writing the computation.")
        question = f"Question: {state['question']}\n\nTables:\n{state['shape']}"
        answer = await self._desk.chat("plan", messages(_PLANNER, question), tokens_max=PROGRAM_TOKENS_MAX)
        return {"program": await self._kept(only_block(answer.text))}

    async def compute(self, state: DataState) -> dict[str, Any]:
        refs = [msgspec.convert(table, ArtifactRef) for table in state["tables"]]
        files = {ref.name: await self._desk.read(ref) for ref in refs}
        ran = await self._desk.run_python(f"compute-{state['repairs']}", await self._program(state), files)
        works = ran.exit_code == 0
        outputs: list[dict[str, Any]] = []
        if works:
            for name, data in sorted(ran.files.items()):
                if (media_type := media_type_of(name)) is not None and len(outputs) < OUTPUTS_MAX:
                    outputs.append(msgspec.to_builtins(await self._desk.keep(name, media_type, data)))
        told = f"Computed: {len(outputs)} tables and charts." if works else "The computation failed."
        await self._desk.note("computed", told, outputs=len(outputs))
        return {
            "works": works,
            "report": report_of(ran.stdout, "" if works else ran.stderr),
            "outputs": outputs,
            "left_out": len(ran.files) - len(outputs) if works else 0,
        }

    async def repair(self, state: DataState) -> dict[str, Any]:
        repairs = state["repairs"] + 1
        await self._desk.note("repairing", f"Repair {repairs} of at most {state['repairs_max']}.", repair=repairs)
        question = (
            f"Question: {state['question']}\n\nTables:\n{state['shape']}\n\nThis program fails:\n```python\n"
            f"{await self._program(state)}```\n```\n{state['report']}\n```\nGive it repaired."
        )
        answer = await self._desk.chat(f"repair-{repairs}", messages(_PLANNER, question), tokens_max=PROGRAM_TOKENS_MAX)
        return {"program": await self._kept(only_block(answer.text)), "repairs": repairs}

    async def tell(self, state: DataState) -> dict[str, Any]:
        names = ", ".join(output["name"] for output in state["outputs"]) or "none"
        question = f"Question: {state['question']}\n\nPrinted:\n{state['report']}\n\nFiles: {names}"
        answer = await self._desk.chat("tell", messages(_TELLER, question), tokens_max=TEXT_TOKENS_MAX)
        await self._desk.note("finished", "The answer is written.")
        return {"result": self._result(state, answer.text, works=True)}

    async def give_up(self, state: DataState) -> dict[str, Any]:
        told = f"No program that was written for this question works, after {state['repairs']} repairs."
        await self._desk.note("finished", told)
        return {"result": self._result(state, told, works=False)}

    def _result(self, state: DataState, text: str, *, works: bool) -> dict[str, Any]:
        return {
            "text": text,
            "computed": works,
            "printed": state["report"],
            "repairs": state["repairs"],
            "files_left_out": state["left_out"],
            "artifacts": [*state["outputs"], state["program"]],
        }

    async def _kept(self, program: str) -> dict[str, Any]:
        kept: dict[str, Any] = msgspec.to_builtins(
            await self._desk.keep("computation.py", "text/x-python", program.encode(errors="replace"))
        )
        return kept

    async def _program(self, state: DataState) -> str:
        return (await self._desk.read(msgspec.convert(state["program"], ArtifactRef))).decode()


KIND = DataKind()
