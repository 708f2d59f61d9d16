"""`verify account` and `verify ledger`: read what is stored and say whether it proves itself. See also `proofs.py`.

Exit code 0: intact. 1: broken, and where. 2: wrong usage, or the ledger cannot be read. The database is the one that
FIRESTORE_EMULATOR_HOST names, or Firestore itself under the caller's own Google credentials.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from google.auth import exceptions as auth_errors

from credence import proofs
from credence.books import Books, BooksUnreadable
from credence.text import printable
from shared.base.ids import AccountId
from shared.base.micros import format_credits
from shared.ledger.errors import AccountAbsent, ChainBroken
from shared.ledger.store import StoreUnavailable
from shared.ledger.verify import LedgerReport, OnProgress, verify_account, verify_ledger
from shared.proof.errors import LogBroken, NoteWrong, TileWrong
from shared.proof.log_check import SignedLog, StatementCheck, read_signed
from shared.proof.note import open_checkpoint
from shared.proof.store import LogStore

INTACT, BROKEN, UNREADABLE = 0, 1, 2
PROGRESS_PERIOD_S = 0.2
BAR_CHARS = 30

Answer = tuple[int, dict[str, object], list[str]]
"""Exit code, the answer for programs, and the same in lines for people."""
Check = Callable[[Books], Awaitable[Answer]]


class LedgerEmpty(Exception):
    """There is nothing to verify, which must not pass for an intact ledger."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line of `verify`."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--project",
        default=os.environ.get("PROJECT_ID") or os.environ.get("GOOGLE_CLOUD_PROJECT"),
        help="Google Cloud project (default: PROJECT_ID or GOOGLE_CLOUD_PROJECT)",
    )
    shared.add_argument("--json", action="store_true", help="print one JSON object")
    subjects = parser.add_subparsers(required=True, metavar="WHAT")
    account = subjects.add_parser("account", parents=[shared], help="one account, from its first entry to its head")
    account.add_argument("account_id", metavar="ACCOUNT_ID", type=_account_id, help="for example user:abc")
    account.set_defaults(run=lambda options: _run(options, lambda books: _account(books, options.account_id)))
    ledger = subjects.add_parser("ledger", parents=[shared], help="every account, every transfer, and the sum of all")
    ledger.add_argument("--key", metavar="KEY", help="the log's public key, or a file with it: check against the log")
    ledger.add_argument(
        "--checkpoint", metavar="FILE", type=Path, help="a checkpoint kept elsewhere (default: the last one of the log)"
    )
    ledger.add_argument("--export", metavar="FILE", type=Path, help="an export instead of a project; needs no network")
    ledger.set_defaults(run=lambda options: _run(options, lambda books: _ledger(books, options)))
    proofs.add_arguments(subjects)


def _account_id(text: str) -> AccountId:
    if ":" not in text or "/" in text:
        raise argparse.ArgumentTypeError("an account is named CLASS:NAME, for example user:abc")
    return AccountId(text)


def _run(options: argparse.Namespace, check: Check) -> int:
    export = getattr(options, "export", None)
    if getattr(options, "checkpoint", None) and options.key is None:
        return _unreadable("--checkpoint is only held against the ledger together with --key")
    if not options.project and not export:
        return _unreadable("name the project: --project, PROJECT_ID or GOOGLE_CLOUD_PROJECT")
    try:
        code, answer, lines = asyncio.run(_check(options.project, export, check))
    except BooksUnreadable as error:
        return _unreadable(str(error))
    except proofs.Unreadable as error:
        return _unreadable(str(error))
    except AccountAbsent:
        return _unreadable("there is no such account")
    except LedgerEmpty:
        return _unreadable(f"there is no account in {export or f'project {options.project}'}; is that the right one?")
    except StoreUnavailable as error:
        return _unreadable(f"the ledger does not answer: {error.__cause__ or error}")
    except auth_errors.GoogleAuthError as error:
        return _unreadable(f"no usable Google credentials: {error} (for a local stack, set FIRESTORE_EMULATOR_HOST)")
    sys.stdout.write(json.dumps(answer) + "\n" if options.json else "".join(f"{printable(line)}\n" for line in lines))
    return code


async def _check(project_id: str, export: Path | None, check: Check) -> Answer:
    # Firestore's client belongs to the event loop that runs when it is made.
    return await check(Books.in_file(export) if export else Books.in_firestore(project_id))


async def _account(books: Books, account_id: AccountId) -> Answer:
    try:
        report = await verify_account(books.archive, account_id)
    except ChainBroken as error:
        return BROKEN, {"intact": False, "broken": [_fault(error)]}, [_fault_line(error)]
    answer = {
        "intact": True,
        "account": report.account_id,
        "entries": report.entries,
        "balance_micros": report.balance_micros,
    }
    line = f"intact: {report.account_id}, {report.entries} entries, {format_credits(report.balance_micros)} credits"
    return INTACT, answer, [line]


async def _ledger(books: Books, options: argparse.Namespace) -> Answer:
    accounts = await books.archive.account_count()
    if not accounts:
        raise LedgerEmpty
    signed: SignedLog | None = None
    if options.key is not None:
        try:
            note = open_checkpoint(await _note(books.log, options), proofs.read_key(options.key))
            signed = await read_signed(books.log, note)
        except (LogBroken, NoteWrong, TileWrong) as error:
            return BROKEN, {"intact": False, "log": str(error)}, [f"the log: {error}"]
    checks = [StatementCheck.against(signed)] if signed else []
    try:
        horizons = await books.windows.horizons()
    except ChainBroken as error:
        return BROKEN, {"intact": False, "broken": [_fault(error)]}, [_fault_line(error)]
    report = await verify_ledger(books.archive, horizons.settled_until, _progress(accounts), checks=checks)
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    answer: dict[str, object] = {
        "intact": report.intact,
        "accounts": report.accounts,
        "entries": report.entries,
        "balance_micros": report.balance_micros,
        "unsettled_micros": report.unsettled_micros,
        "drift_micros": report.drift_micros,
        "epochs": signed.epochs if signed else None,
        "broken": [_fault(error) for error in report.broken],
    }
    return (INTACT if report.intact else BROKEN), answer, [*_ledger_lines(report), *_log_lines(signed)]


def _log_lines(signed: SignedLog | None) -> list[str]:
    if signed is None:
        return []
    return [f"held against the signed log: {signed.epochs} epochs, {len(signed.statements)} statements about accounts"]


async def _note(log: LogStore, options: argparse.Namespace) -> str:
    """The checkpoint that everything is held against."""
    if options.checkpoint:
        return proofs.read_text(options.checkpoint)
    return (await log.state()).state.note


def _ledger_lines(report: LedgerReport) -> list[str]:
    counted = f"{report.accounts} accounts, {report.entries} entries"
    if report.broken:
        return [*map(_fault_line, report.broken), f"broken: {len(report.broken)} of {counted}"]
    sums = f"{format_credits(report.balance_micros)} credits held, {format_credits(report.unsettled_micros)} unsettled"
    if report.drift_micros:
        return [f"broken: {counted}, {sums}: {format_credits(report.drift_micros)} credits came from nowhere"]
    return [f"intact: {counted}, {sums}, the sum is zero"]


def _fault(error: ChainBroken) -> dict[str, object]:
    return {"account": error.account_id, "seq": error.seq, "entry_id": error.entry_id, "reason": error.reason}


def _fault_line(error: ChainBroken) -> str:
    seq = "" if error.seq is None else f" entry {error.seq}"
    entry_id = "" if error.entry_id is None else f" {error.entry_id}"
    return f"broken: {error.account_id}{seq}{entry_id}: {error.reason}"


def _progress(accounts_total: int) -> OnProgress:
    """A bar on standard error: redrawn in place on a terminal, else a line now and then."""
    started_s = shown_s = time.monotonic()
    on_terminal = sys.stderr.isatty()
    period_s = PROGRESS_PERIOD_S if on_terminal else 100 * PROGRESS_PERIOD_S

    def show(accounts: int, entries: int) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if now_s - shown_s < period_s and accounts < accounts_total:
            return
        shown_s = now_s
        total = max(accounts_total, accounts, 1)
        bar = ("#" * (BAR_CHARS * accounts // total)).ljust(BAR_CHARS)
        rate = entries / max(now_s - started_s, 1e-3)
        text = f"[{bar}] {accounts}/{total} accounts, {entries} entries, {rate:.0f} entries/s"
        sys.stderr.write(f"\r{text}" if on_terminal else f"{text}\n")
        sys.stderr.flush()

    return show


def _unreadable(reason: str) -> int:
    sys.stderr.write(f"{printable(reason)}\n")
    return UNREADABLE
