"""The mutants fit the code as it is: a safeguard that moved on is followed, and a change is what it is called."""

from pathlib import Path

import pytest

from mutants.__main__ import MUTANTS, TextNotOnce, caught_by, change_of
from mutants.arithmetic import EQUIVALENT, PATH, SUITES
from mutants.changes import small_changes
from mutants.mutant import Mutant
from mutants.tree import ROOT, Verdict
from tests.claims import of_each

NAMED = {
    "head precondition",
    "create-only entry",
    "hold sum",
    "request hash",
    "hash link",
    "window margin",
    "epoch sum",
    "ambiguity reread",
    "split remainder",
}


@of_each(MUTANTS, lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    """Its text is there exactly once, what comes of it is Python, and the suites it names exist."""
    change = change_of(ROOT, mutant)

    compile(change.text, change.path, "exec")
    assert change.text != (ROOT / mutant.path).read_text(encoding="utf-8")
    assert all((ROOT / suite).is_file() for suite in mutant.suites)


def test_every_safeguard_that_was_promised_is_taken_out() -> None:
    assert {mutant.safeguard for mutant in MUTANTS} >= NAMED
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["", "twice twice"])
def test_a_text_that_is_not_there_once_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(text, encoding="utf-8")

    with pytest.raises(TextNotOnce):
        change_of(tmp_path, Mutant("name", "safeguard", "module.py", "twice", "once", ()))


@pytest.mark.parametrize(
    ("verdict", "test"),
    [
        (Verdict("tests/ledger/test_rules.py::test_a"), "ledger/test_rules.py::test_a"),
        (Verdict("tests/ledger/test_rules.py"), None),
        (Verdict(None), None),
        (Verdict(None, ended=False), None),
    ],
)
def test_only_a_test_that_failed_has_noticed(verdict: Verdict, test: str | None) -> None:
    """Neither a module that cannot be loaded nor a suite that never ends says anything about a safeguard."""
    assert caught_by(verdict) == test


def test_changes_are_small_and_all_different() -> None:
    source = "def least(a, b):\n    if not a < b and a:\n        raise ValueError\n    return min(a, 1)\n"

    names = [change.name for change in small_changes(source)]

    assert names == [
        "least: if not a < b and a: -> if not a < b or a:",
        "least: if not a < b and a: -> if a < b and a:",
        "least: if not a < b and a: -> if not a <= b and a:",
        "least: if not a < b and a: -> if not a >= b and a:",
        "least: raise ValueError -> pass",
        "least: return min(a, 1) -> return",
        "least: return min(a, 1) -> return max(a, 1)",
        "least: return min(a, 1) -> return min(a, 2)",
        "least: return min(a, 1) -> return min(a, 0)",
    ]


def test_the_changes_called_equivalent_are_changes_of_the_rules() -> None:
    changes = list(small_changes((ROOT / PATH).read_text(encoding="utf-8")))

    assert len({change.name for change in changes}) == len(changes)
    assert set(EQUIVALENT) <= {change.name for change in changes}
    assert all((ROOT / suite).is_file() for suite in SUITES)
