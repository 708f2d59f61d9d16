"""Takes each safeguard out of the ledger in turn, in a copy, and says which test noticed.

`python -m mutants` prints a table, its last line the count; `--rules` makes every small change of the ledger's
arithmetic instead; `--fast` leaves out what only the emulators can notice. The exit status is 1 when one survived.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mutants import arithmetic
from mutants.cards import CARDS
from mutants.coins import COINS
from mutants.commits import COMMITS
from mutants.conversations import CONVERSATIONS
from mutants.credits import CREDITS
from mutants.jobs import JOBS
from mutants.logs import LOGS
from mutants.moves import MOVES
from mutants.mutant import Mutant
from mutants.payments import PAYMENTS
from mutants.payouts import PAYOUTS
from mutants.proofs import PROOFS, SETTLING
from mutants.risk import RISK
from mutants.sharing import SHARING
from mutants.shelf import SHELF
from mutants.tools import TOOLS
from mutants.tree import ROOT, UNNOTICED, Change, SuitesBroken, Verdict, each, run_suites, try_change
from mutants.walks import WALKS

SURVIVED = "SURVIVED"
MUTANTS = (
    *CARDS,
    *COINS,
    *COMMITS,
    *CONVERSATIONS,
    *CREDITS,
    *JOBS,
    *MOVES,
    *PAYMENTS,
    *PAYOUTS,
    *RISK,
    *SHARING,
    *SHELF,
    *SETTLING,
    *TOOLS,
    *PROOFS,
    *WALKS,
    *LOGS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--rules", action="store_true", help="small changes of shared/ledger/rules.py instead")
    parser.add_argument("--fast", action="store_true", help="without the emulators")
    parser.add_argument("--only", default="", help="mutants whose name or safeguard holds this text")
    options = parser.parse_args(arguments)
    try:
        if options.rules:
            return arithmetic.main()
        chosen = [one for one in MUTANTS if options.only in f"{one.name} {one.safeguard}"]
        return remove_safeguards([one for one in chosen if not (options.fast and one.on_stack)])
    except (SuitesBroken, TextNotOnce) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1


class TextNotOnce(Exception):
    """The text to be replaced is not in its file exactly once: the code has moved on, and the list must follow."""


def remove_safeguards(mutants: Sequence[Mutant]) -> int:
    """Try the mutants, print the table, answer the exit status. Raise SuitesBroken or TextNotOnce."""
    for mutant in mutants:
        change_of(ROOT, mutant)
    print("The suites as they are", file=sys.stderr)
    for (on_stack, suites), verdict in each(asked(mutants), _run_unchanged):
        if verdict != UNNOTICED:
            raise SuitesBroken(f"{verdict.failed or suites} fails without any change (stack: {on_stack})")
    rows: list[tuple[str, str, str]] = []
    for number, (mutant, verdict) in enumerate(each(mutants, _try), 1):
        rows.append((mutant.safeguard, mutant.name, caught_by(verdict) or SURVIVED))
        print(f"{number} of {len(mutants)}: {mutant.name}: {rows[-1][2]}", file=sys.stderr)
    safeguard_chars, name_chars = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for safeguard, name, test in sorted(rows, key=lambda row: row[0]):
        print(f"{safeguard:{safeguard_chars}}  {name:{name_chars}}  {test}")
    caught = sum(test != SURVIVED for _, _, test in rows)
    print(f"{caught} of {len(rows)} caught")
    return 0 if rows and caught == len(rows) else 1


def change_of(root: Path, mutant: Mutant) -> Change:
    """The mutant's file with its text replaced. Raise TextNotOnce."""
    text = (root / mutant.path).read_text(encoding="utf-8")
    if text.count(mutant.text) != 1:
        raise TextNotOnce(f"{mutant.path} holds {text.count(mutant.text)} times: {mutant.text}")
    return Change(mutant.path, text.replace(mutant.text, mutant.becomes), mutant.suites, mutant.on_stack)


def asked(mutants: Sequence[Mutant]) -> list[tuple[bool, tuple[str, ...]]]:
    """All suites that the mutants name, those with the stack and those without."""
    named: dict[bool, set[str]] = {}
    for mutant in mutants:
        named.setdefault(mutant.on_stack, set()).update(mutant.suites)
    return [(on_stack, tuple(sorted(suites))) for on_stack, suites in sorted(named.items())]


def caught_by(verdict: Verdict) -> str | None:
    """The test that noticed. Code that cannot even be loaded, or never ends, was changed clumsily: nobody noticed."""
    if verdict.failed is None or "::" not in verdict.failed:
        return None
    return verdict.failed.removeprefix("tests/")


def _run_unchanged(copy: Path, suites: tuple[bool, tuple[str, ...]]) -> Verdict:
    on_stack, names = suites
    return run_suites(copy, names, on_stack=on_stack)


def _try(copy: Path, mutant: Mutant) -> Verdict:
    return try_change(copy, change_of(copy, mutant))


if __name__ == "__main__":
    sys.exit(main())
