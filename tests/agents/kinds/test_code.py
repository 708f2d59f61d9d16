"""A job that writes code: what it gives when all goes well, when it must repair, and when it cannot."""

import pytest

from shared.agents.kinds.code import MODULE, REPAIRS_MAX, TESTS, CodeKind, CodeParams, counts_in, files_in
from shared.agents.kinds.errors import AnswerUnusable
from shared.base.body import Misshapen, shape
from tests.agents.kinds.memory import COST_MICROS, MemoryDesk, run

BUGGY = "def add(a, b):\n    return a - b\n"
RIGHT = "def add(a, b):\n    return a + b\n"
CHECKS = """import unittest
from solution import add

class Adds(unittest.TestCase):
    def test_small(self):
        self.assertEqual(add(1, 2), 3)

    def test_none(self):
        self.assertEqual(add(0, 0), 0)
"""


def answer(module: str | None = None, tests: str | None = None) -> str:
    """As a model writes it."""
    files = ((MODULE, module), (TESTS, tests))
    return "Here:\n" + "\n".join(f"```python {name}\n{content}```" for name, content in files if content)


def desk_for(*repairs: str, module: str = BUGGY, tests: str = CHECKS) -> MemoryDesk:
    """A desk whose model first writes the module, then gives these answers to requests for repair."""
    script = {f"repair-{number}": text for number, text in enumerate(repairs, start=1)}
    return MemoryDesk({"write": answer(module, tests), **script})


PARAMS = CodeParams(task="Add two numbers.", repairs_max=2)


async def test_a_module_whose_tests_pass_is_given_with_them() -> None:
    desk = desk_for(module=RIGHT)

    result = await run(CodeKind(), PARAMS, desk)

    assert (result["passed"], result["tests"], result["failed"], result["repairs"]) == (True, 2, 0, 0)
    assert [desk.kept[ref["artifact_id"]].decode() for ref in result["artifacts"]] == [RIGHT, CHECKS]
    assert result["text"] == "The module passes all of its 2 tests."
    assert [kind for kind, _, _ in desk.notes] == ["writing", "tested", "finished"]


async def test_what_fails_is_repaired_with_what_the_tests_said() -> None:
    desk = desk_for(answer(RIGHT))

    result = await run(CodeKind(), PARAMS, desk)

    assert (result["passed"], result["repairs"], result["tests_changed"]) == (True, 1, False)
    asked = dict(desk.asked)["repair-1"]
    assert BUGGY in asked
    assert "AssertionError: -1 != 3" in asked
    assert desk.charges == {"write": COST_MICROS, "repair-1": COST_MICROS}


async def test_what_cannot_be_repaired_is_given_and_said_to_fail() -> None:
    """After as many repairs as were allowed, and not one more."""
    desk = desk_for(answer(BUGGY), answer(BUGGY))

    result = await run(CodeKind(), PARAMS, desk)

    assert (result["passed"], result["tests"], result["failed"], result["repairs"]) == (False, 2, 1, 2)
    assert result["text"] == "Of the module's 2 tests 1 still fail after 2 repairs."
    assert len(result["artifacts"]) == 2
    assert len(desk.charges) == 3


async def test_a_repair_that_changes_the_tests_is_said_to() -> None:
    """Or a model could pass by testing nothing."""
    easy = CHECKS.replace("add(1, 2), 3", "add(1, 2), -1")

    result = await run(CodeKind(), PARAMS, desk_for(answer(BUGGY, easy)))

    assert result["passed"] is True
    assert result["tests_changed"] is True
    assert "The tests were changed in a repair" in result["text"]


@pytest.mark.parametrize(
    "module",
    [
        "import os\nos._exit(0)\n",
        "raise SystemExit(0)\n",
        "print('tests=5 failed=0', flush=True)\nimport os\nos._exit(1)\n",
        "def (\n",
    ],
)
async def test_a_module_that_ends_before_its_tests_has_passed_none(module: str) -> None:
    result = await run(CodeKind(), CodeParams(task="Add.", repairs_max=0), desk_for(module=module))

    assert result["passed"] is False
    assert result["text"].startswith(("No test of the module could be run", "Of the module's 1 tests 1 still fail"))


async def test_no_tests_are_no_success() -> None:
    result = await run(
        CodeKind(), CodeParams(task="Add.", repairs_max=0), desk_for(module=RIGHT, tests="import solution\n")
    )

    assert (result["passed"], result["tests"]) == (False, 0)


@pytest.mark.slow
async def test_a_death_at_any_call_changes_nothing() -> None:
    """Before and after each effect: the same result, each step charged once."""
    undisturbed = await run(CodeKind(), PARAMS, desk_for(answer(RIGHT)))
    for moment in range(2, 12):
        desk = desk_for(answer(RIGHT))
        desk.dies_at = {moment}

        assert await run(CodeKind(), PARAMS, desk) == undisturbed
        assert desk.charges == {"write": COST_MICROS, "repair-1": COST_MICROS}


def test_files_are_found_by_their_names_or_their_order() -> None:
    assert files_in(answer(RIGHT, CHECKS)) == {MODULE: RIGHT, TESTS: CHECKS}
    assert files_in(f"```python\n{RIGHT}```\ntext\n```\n{CHECKS}```") == {MODULE: RIGHT, TESTS: CHECKS}
    assert files_in(f"```python src/{MODULE}\n{RIGHT}```\n```python other.py\nx\n```") == {MODULE: RIGHT}
    for text in ("I cannot.", "```python\n```", "```python other.py\nx\n```", f"```python\n{'x' * 64_001}\n```"):
        with pytest.raises(AnswerUnusable):
            files_in(text)


def test_only_the_last_line_counts() -> None:
    assert counts_in("..\nOK\n\ntests=3 failed=1\n") == (3, 1)
    for text in ("", "OK", "tests=3", "tests=x failed=0", "tests=3 failed=0\nand more", "tests=-3 failed=0"):
        assert counts_in(text) == (0, 0)


def test_what_is_asked_is_bounded() -> None:
    assert shape(CodeParams, {"task": "x"}).repairs_max == 3
    for wrong in (
        {"task": ""},
        {"task": "x" * 8_001},
        {"task": "x", "repairs_max": REPAIRS_MAX + 1},
        {"task": "x", "y": 1},
    ):
        with pytest.raises(Misshapen):
            shape(CodeParams, wrong)
