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


def _named(where: str, line: str, was: str, becomes: str) -> str:
    """The name of a change: `line` is as Python would write it, the changed part left out."""
    return f"{where}: {line.format(was)} -> {line.format(becomes)}"


_USABLE = "return [lot for lot in lots if lot.remaining_micros {} and _outlives(lot.expires_at_ms, valid_at_ms)]"
_LEGS = "legs.extend((Leg(share.account_id, origin, part) for share, part in zip(shares, parts, strict={}) if part))"
_BELOW_ZERO = "if amount < min(0, before.get(key, {})) and (not (may_owe and key[1] is None)):"
_TOO_MUCH_SENT = (
    "raise SendLimitExceeded(left_micros=left_micros, retry_after_ms=max({}, day_start_ms + DAY_MS - at_ms))"
)
EQUIVALENT: Mapping[str, str] = {
    _named("module", "_NEVER_MS = {}", "2 ** 63", "3 ** 63"): "still later than any moment a document can hold",
    _named("module", "_NEVER_MS = {}", "2 ** 63", "2 ** 64"): "still later than any moment a document can hold",
    _named("apply_changes", _BELOW_ZERO, "0", "1"): "the lower of the two is zero either way",
    _named("legs_of", _LEGS, "True", "False"): "a split has as many parts as there are shares, or raises",
    _named(
        "count_sent", _TOO_MUCH_SENT, "0", "1"
    ): "the day that is counted ends at least 1 ms from any of its moments",
    _named("count_sent", _TOO_MUCH_SENT, "0", "-1"): "the day that is counted never ended before",
    _named("_usable", _USABLE, "> 0", ">= 0"): "an empty lot adds nothing, and nothing is taken from it",
    _named("_usable", _USABLE, "> 0", "> -1"): "an empty lot adds nothing, and nothing is taken from it",
}
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
