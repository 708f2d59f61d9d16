"""Every small change of the ledger's pure arithmetic, and how many of them its own tests notice."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mutants.changes import SmallChange, small_changes
from mutants.tree import ROOT, UNNOTICED, Change, SuitesBroken, Verdict, copies, each, run_suites, try_change

PATH = "shared/ledger/rules.py"
NAMES = ("rules_bounds", "rules_sending", "rules", "postings", "corrections", "standing", "allowances", "funding")
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
_TOO_MUCH_SENT = (
    "raise SendLimitExceeded(left_micros=left_micros, retry_after_ms=max({}, day_start_ms + DAY_MS - at_ms))"
)
_BELOW_ZERO = "if amount < 0 and amount < had.get(key, {}) and (not (may_owe and key[1] is None)):"
_SORTED = "return tuple(merged if len(merged) < {} else sorted(merged, key=_spending_order))"
EQUIVALENT: Mapping[str, str] = {
    _named("module", "_NEVER_MS = {}", "2 ** 63", "3 ** 63"): "still later than any moment a document can hold",
    _named("module", "_NEVER_MS = {}", "2 ** 63", "2 ** 64"): "still later than any moment a document can hold",
    _named("apply_changes", _BELOW_ZERO, "0", "1"): "an amount that is below zero is below one as well",
    _named("apply_changes", _SORTED, "2", "1"): "one lot is in order by itself",
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
    """Print the changes that no test noticed, then how many were; the exit status is 1 below CAUGHT_RATIO_MIN.

    Raise SuitesBroken when the tests fail without any change.
    """
    changes = list(small_changes((ROOT / PATH).read_text(encoding="utf-8")))
    if unknown := set(EQUIVALENT) - {change.name for change in changes}:
        print(f"named as equivalent, and no change of {PATH}: {sorted(unknown)}")
        return 1
    with copies(1) as (unchanged,):
        if (verdict := run_suites(unchanged, SUITES, on_stack=False)) != UNNOTICED:
            raise SuitesBroken(f"{verdict.failed} fails without any change")
    return _report(_tried(changes))


def _tried(changes: Sequence[SmallChange]) -> list[tuple[SmallChange, Verdict]]:
    tried = []
    for number, (change, verdict) in enumerate(each(changes, _try), 1):
        tried.append((change, verdict))
        if number % SAID_EVERY == 0:
            print(f"{number} of {len(changes)} changes tried", file=sys.stderr)
    return tried


def _try(copy: Path, change: SmallChange) -> Verdict:
    return try_change(copy, Change(PATH, change.source, SUITES, timeout_s=TIMEOUT_S))


def _report(tried: Sequence[tuple[SmallChange, Verdict]]) -> int:
    """A loop that became endless counts as caught: whoever runs the suites would notice. It is told all the same."""
    judged = [(change, verdict) for change, verdict in tried if change.name not in EQUIVALENT]
    survivors = [change for change, verdict in judged if verdict == UNNOTICED]
    mistaken = [change for change, verdict in tried if change.name in EQUIVALENT and verdict != UNNOTICED]
    for change in survivors:
        print(f"survived  {PATH}:{change.line}  {change.name}")
    for change in mistaken:
        print(f"caught, and so not equivalent  {PATH}:{change.line}  {change.name}")
    endless = sum(not verdict.ended for _, verdict in judged)
    caught, total = len(judged) - len(survivors), len(judged)
    print(f"{endless} of those caught never ended; {len(tried) - total} changes besides are equivalent, not counted")
    print(f"{caught} of {total} caught ({caught / total:.1%})")
    return 1 if mistaken or caught < total * CAUGHT_RATIO_MIN else 0
