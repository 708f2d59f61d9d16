"""Every small change of the ledger's pure arithmetic, and how many of them its own tests notice."""

import sys
from collections.abc import Mapping
from pathlib import Path

from mutants.changes import SmallChange, small_changes
from mutants.tree import ROOT, Change, Verdict, each, run_suites, try_change

PATH = "shared/ledger/rules.py"
NAMES = ("rules_bounds", "rules_sending", "rules", "postings", "corrections", "standing")
SUITES = tuple(f"tests/ledger/test_{name}.py" for name in NAMES)
CAUGHT_RATIO_MIN = 0.95
SAID_EVERY = 20
TIMEOUT_S = 40.0
"""Ten times what the suites take. Some changes make a loop endless, which nobody would fail to notice."""

EQUIVALENT: Mapping[str, str] = {}
"""Changes after which the module does the same, and why. They are tried like the others, and counted apart."""


def main() -> int:
    """Print the changes that no test noticed, then how many were; the exit status is 1 below CAUGHT_RATIO_MIN."""
    changes = list(small_changes((ROOT / PATH).read_text(encoding="utf-8")))
    unknown = set(EQUIVALENT) - {change.name for change in changes}
    if unknown:
        print(f"named as equivalent, and no change of {PATH}: {sorted(unknown)}")
        return 1
    survivors: list[SmallChange] = []
    endless = 0
    caught_equivalents: list[SmallChange] = []
    for number, (change, verdict) in enumerate(each([None, *changes], _judge)):
        if change is None:
            if verdict.failed:
                print(f"the suites fail without any change: {verdict.failed}")
                return 1
            continue
        endless += not verdict.ended
        survived = verdict.ended and verdict.failed is None
        if survived and change.name not in EQUIVALENT:
            survivors.append(change)
            print(f"survived: {change.name}", file=sys.stderr)
        if not survived and change.name in EQUIVALENT:
            caught_equivalents.append(change)
        if number % SAID_EVERY == 0:
            print(f"{number} of {len(changes)} changes tried", file=sys.stderr)
    return _report(len(changes) - len(EQUIVALENT), survivors, caught_equivalents, endless)


def _judge(copy: Path, change: SmallChange | None) -> Verdict:
    if change is None:
        return run_suites(copy, SUITES, on_stack=False)
    return try_change(copy, Change(PATH, change.source, SUITES, timeout_s=TIMEOUT_S))


def _report(total: int, survivors: list[SmallChange], caught_equivalents: list[SmallChange], endless: int) -> int:
    for change in survivors:
        print(f"survived  {PATH}:{change.line}  {change.name}")
    for change in caught_equivalents:
        print(f"caught, and so not equivalent  {PATH}:{change.line}  {change.name}")
    caught = total - len(survivors)
    print(f"{endless} of those caught never ended; {len(EQUIVALENT)} changes besides are equivalent, and not counted")
    print(f"{caught} of {total} caught ({caught / total:.1%})")
    return 1 if caught_equivalents or caught < total * CAUGHT_RATIO_MIN else 0
