"""A job that writes a module with its tests: it runs them confined, and repairs what fails.

What it could not repair it says: the files are there either way, and the result tells whether their tests pass.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from shared.agents.desk import ArtifactRef, Desk
from shared.agents.kinds.errors import AnswerUnusable
from shared.agents.kinds.graph import END, graph_of
from shared.agents.kinds.words import blocks_in, messages, report_of
from shared.base.body import Body

if TYPE_CHECKING:
    from langgraph.graph import StateGraph

MODULE, TESTS = "solution.py", "test_solution.py"
REPAIRS_MAX = 5
TOKENS_MAX = 4_096
FILE_CHARS_MAX = 64_000
_SYSTEM = (
    "You write small, correct Python 3.11 modules that use the standard library, pandas or numpy, without network, "
    "subprocesses or threads. Answer with fenced blocks alone, each with its file's name on its first line: "
    f"```python {MODULE}``` for the module and ```python {TESTS}``` for its tests, which use unittest and import from "
    "`solution`."
)
_RUN = """
import sys, unittest
suite = unittest.defaultTestLoader.loadTestsFromName("test_solution")
outcome = unittest.TextTestRunner(stream=sys.stdout).run(suite)
failed = len(outcome.failures) + len(outcome.errors) + len(outcome.unexpectedSuccesses)
print(f"\\ntests={outcome.testsRun} failed={failed}")
"""
"""Its last line is what is believed: a module that ends the process early has passed nothing."""


class CodeParams(Body, frozen=True, kw_only=True):
    """What to write, and how often it may be repaired."""

    task: Annotated[str, Meta(min_length=1, max_length=8_000)]
    repairs_max: Annotated[int, Meta(ge=0, le=REPAIRS_MAX)] = 3


class CodeState(TypedDict, total=False):
    """References to files, and how they did."""

    task: str
    repairs_max: int
    files: dict[str, dict[str, Any]]
    repairs: int
    tests_changed: bool
    tests: int
    failed: int
    report: str
    result: dict[str, Any]


class CodeKind:
    """Writes, tests, repairs, tells."""

    name = "code"
    params = CodeParams
    steps_max = 2 * REPAIRS_MAX + 6

    def first_state(self, params: CodeParams) -> dict[str, Any]:
        """Nothing written yet."""
        return {"task": params.task, "repairs_max": params.repairs_max, "repairs": 0, "tests_changed": False}

    def orders(self, params: CodeParams) -> tuple[()]:
        """Its own model alone works at it."""
        return ()

    def steps_expected(self, params: CodeParams) -> int:
        """Half of all modules need a repair."""
        return 3 + 2 * min(1, params.repairs_max)

    def graph(self, desk: Desk) -> "StateGraph[Any]":
        """Write, then test and repair until the tests pass or no repair is left, then tell."""
        steps = _Steps(desk)
        nodes = {"write": steps.write, "test": steps.test, "repair": steps.repair, "tell": steps.tell}
        return graph_of(CodeState, nodes, {"write": "test", "test": after_test, "repair": "test", "tell": END})


def after_test(state: CodeState) -> str:
    """Repair what failed while there are repairs left."""
    return "repair" if not passed(state) and state["repairs"] < state["repairs_max"] else "tell"


def passed(state: CodeState) -> bool:
    """Whether there were tests, and none of them failed."""
    return state["tests"] > 0 and state["failed"] == 0


def files_in(answer: str) -> dict[str, str]:
    """The two files of an answer, by the names on their blocks. Raise AnswerUnusable for one without a module.

    Blocks without names are module and tests in that order.
    """
    blocks = [(name.rpartition("/")[2], content) for name, content in blocks_in(answer) if content.strip()]
    named = {name: content for name, content in blocks if name in (MODULE, TESTS)}
    if not named and not any(name for name, _ in blocks):
        named = dict(zip((MODULE, TESTS), (content for _, content in blocks), strict=False))
    if not named or any(len(content) > FILE_CHARS_MAX for content in named.values()):
        raise AnswerUnusable("module")
    return named


def counts_in(stdout: str) -> tuple[int, int]:
    """How many tests ran, and failed, as the last line says; without one, none did."""
    last = stdout.rstrip().rpartition("\n")[2]
    tests, _, failed = last.removeprefix("tests=").partition(" failed=")
    return (
        (int(tests), int(failed)) if last.startswith("tests=") and tests.isdecimal() and failed.isdecimal() else (0, 0)
    )


class _Steps:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def write(self, state: CodeState) -> dict[str, Any]:
        await self._desk.note("writing", "Writing the module and its tests.")
        answer = await self._desk.chat("write", messages(_SYSTEM, state["task"]), tokens_max=TOKENS_MAX)
        files = files_in(answer.text)
        if set(files) != {MODULE, TESTS}:
            raise AnswerUnusable("module and tests")
        return {"files": await self._kept(files)}

    async def test(self, state: CodeState) -> dict[str, Any]:
        files = {name: await self._read(state, name) for name in (MODULE, TESTS)}
        ran = await self._desk.run_python(f"test-{state['repairs']}", _RUN, files)
        tests, failed = counts_in(ran.stdout) if ran.exit_code == 0 else (0, 0)
        await self._desk.note("tested", f"{tests - failed} of {tests} tests pass.", tests=tests, failed=failed)
        return {"tests": tests, "failed": failed, "report": report_of(ran.stdout, ran.stderr)}

    async def repair(self, state: CodeState) -> dict[str, Any]:
        repairs = state["repairs"] + 1
        await self._desk.note("repairing", f"Repair {repairs} of at most {state['repairs_max']}.", repair=repairs)
        module, tests = [(await self._read(state, name)).decode() for name in (MODULE, TESTS)]
        question = (
            f"{state['task']}\n\nThis was written:\n```python {MODULE}\n{module}```\n```python {TESTS}\n{tests}```\n"
            f"Its tests fail:\n```\n{state['report']}\n```\nGive the repaired module. Give the tests again only if it "
            "is they that are wrong."
        )
        answer = await self._desk.chat(f"repair-{repairs}", messages(_SYSTEM, question), tokens_max=TOKENS_MAX)
        files = files_in(answer.text)
        changed = TESTS in files and files[TESTS].strip() != tests.strip()
        return {
            "files": {**state["files"], **await self._kept(files)},
            "repairs": repairs,
            "tests_changed": state["tests_changed"] or changed,
        }

    async def tell(self, state: CodeState) -> dict[str, Any]:
        told = text_told(state)
        await self._desk.note("finished", told)
        result = {
            "text": told,
            "passed": passed(state),
            "tests": state["tests"],
            "failed": state["failed"],
            "repairs": state["repairs"],
            "tests_changed": state["tests_changed"],
            "report": state["report"],
            "artifacts": list(state["files"].values()),
        }
        return {"result": result}

    async def _kept(self, files: dict[str, str]) -> dict[str, dict[str, Any]]:
        return {
            name: msgspec.to_builtins(await self._desk.keep(name, "text/x-python", content.encode(errors="replace")))
            for name, content in files.items()
        }

    async def _read(self, state: CodeState, name: str) -> bytes:
        return await self._desk.read(msgspec.convert(state["files"][name], ArtifactRef))


def text_told(state: CodeState) -> str:
    """How it went, in one or two sentences that are true."""
    repairs = state["repairs"]
    after = f" after {repairs} repair{'s' if repairs > 1 else ''}" if repairs else ""
    changed = " The tests were changed in a repair: read them." if state["tests_changed"] else ""
    if passed(state):
        return f"The module passes all of its {state['tests']} tests{after}.{changed}"
    if not state["tests"]:
        return f"No test of the module could be run{after}: it does not work as it is.{changed}"
    return f"Of the module's {state['tests']} tests {state['failed']} still fail{after}.{changed}"


KIND = CodeKind()
