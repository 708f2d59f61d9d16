"""One account written by four processes at once: postings a second, ours and the library's transaction beside it.

Each process has an engine of its own and debits the same account, many at a time; nobody tells the others anything.
In the end the account is verified, and must hold every acknowledged posting once and nothing else.
"""

import asyncio
import multiprocessing
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from google.cloud import firestore

from bench.report import BenchFailed, at_least, median, run_bench, say
from bench.stock import debit_stock
from local.emulators import start_firestore
from shared.base.clock import system_clock
from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.engine import Engine
from shared.ledger.postings import Debit
from shared.ledger.service import HOUSE_ONLY, Ledger
from shared.ledger.store import FirestoreLedgerStore
from shared.ledger.verify import verify_account

PROCESSES = 4
DEBITS_EACH, DEBITS_EACH_QUICK = 2_000, 20
AT_ONCE = 100
"""Debits of one process that wait together; what arrives during a commit goes into the next one."""
REPEATS, REPEATS_QUICK = 3, 1
STOCK_S, STOCK_S_QUICK = 12.0, 1.0
"""How long the transactions may try. Most of them fail, after locks of many seconds."""
PER_S_MIN = 300
ANSWER_S = 30.0
START_S = 3.0
"""For all processes to import and connect before the first posts."""


def measure(quick: bool) -> dict[str, Any]:
    """Ours some times over, then the library's transaction."""
    with tempfile.TemporaryDirectory(prefix="credence-") as folder, start_firestore(Path(folder)) as service:
        os.environ["FIRESTORE_EMULATOR_HOST"] = service.address
        each = DEBITS_EACH_QUICK if quick else DEBITS_EACH
        say("Warming the emulator up")
        _race("warm", each, deadline_s=60.0)
        say(f"{PROCESSES} processes, {each} debits each on one account")
        ours = [_race("ours", each, deadline_s=120.0) for _ in range(REPEATS_QUICK if quick else REPEATS)]
        say("The same with the library's transaction")
        stock = _race("stock", each, deadline_s=STOCK_S_QUICK if quick else STOCK_S)
    per_s = median([one["per_s"] for one in ours])
    return {
        "hot4_per_s": per_s,
        "hot4_lost": sum(one["lost"] for one in ours),
        "hot4_doubled": sum(one["doubled"] for one in ours),
        "hot4_refused": sum(one["failed"] for one in ours),
        "stock4_per_s": stock["per_s"],
        "stock4_ok": stock["ok"],
        "stock4_failed": stock["failed"],
        "targets": {"hot4_per_s": at_least(PER_S_MIN, per_s)},
        "noise": {"processes": PROCESSES, "debits_each": each, "runs_per_s": [one["per_s"] for one in ours]},
    }


def _race(way: str, each: int, *, deadline_s: float) -> dict[str, Any]:
    """Let the processes debit one account, then count what stands on it."""
    project_id = f"demo-hot-{secrets.token_hex(4)}"
    account_id = AccountId("user:hot")
    asyncio.run(_open(project_id, account_id))
    begins_at_s = time.time() + START_S
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    for number in range(PROCESSES):
        job = (project_id, account_id, way, number, each, begins_at_s, deadline_s)
        spawn.Process(target=_debit, args=(answers, job), daemon=True).start()
    told = [answers.get(timeout=deadline_s + ANSWER_S) for _ in range(PROCESSES)]
    took_s = max(ended_at_s for _, ended_at_s, _ in told) - begins_at_s
    acknowledged = [entry_id for ids, _, _ in told for entry_id in ids]
    stored = asyncio.run(_stored(project_id, account_id))
    ok = len(acknowledged)
    return {
        "ok": ok,
        "per_s": ok / took_s,
        "failed": sum(failed for _, _, failed in told),
        "lost": len(set(acknowledged) - set(stored)),
        "doubled": len(stored) - len(set(stored)),
    }


Told = tuple[Sequence[EntryId], float, int]
"""The entries that a process was told stand, when it ended, and how many of its debits failed."""


def _debit(answers: "multiprocessing.Queue[Told]", job: Sequence[Any]) -> None:
    """One process."""
    asyncio.run(_debit_all(answers, *job))


async def _debit_all(
    answers: "multiprocessing.Queue[Told]",
    project_id: str,
    account_id: AccountId,
    way: str,
    number: int,
    each: int,
    begins_at_s: float,
    deadline_s: float,
) -> None:
    client = firestore.AsyncClient(project=project_id)
    engine = Engine(FirestoreLedgerStore(client))
    debits = iter([_one(account_id, f"{number}:{index}") for index in range(each)])
    told: list[EntryId] = []
    failed = 0
    post: Callable[[Debit], Awaitable[object]] = engine.run
    if way == "stock":
        post = lambda debit: debit_stock(client, debit)  # noqa: E731 - one of two ways to post

    async def keep_posting() -> None:
        nonlocal failed
        for debit in debits:
            try:
                await post(debit)
                told.append(debit.entry_id)
            except Exception:  # noqa: BLE001 - counted, whatever the library raises
                failed += 1

    await asyncio.sleep(max(0.0, begins_at_s - time.time()))
    posting = [asyncio.ensure_future(keep_posting()) for _ in range(AT_ONCE)]
    await asyncio.wait(posting, timeout=deadline_s)
    answers.put((told, time.time(), failed))
    answers.close()
    answers.join_thread()
    # Not an orderly end: a transaction that is cancelled first waits for its lock, to give it back.
    os._exit(0)


def _one(account_id: AccountId, key: str) -> Debit:
    return Debit(account_id=account_id, amount_micros=1, shares=HOUSE_ONLY, key=key, facts=(), at_ms=system_clock())


async def _open(project_id: str, account_id: AccountId) -> None:
    store = FirestoreLedgerStore(firestore.AsyncClient(project=project_id))
    ledger = Ledger(Engine(store), store, system_clock)
    await ledger.open(account_id)
    await ledger.grant_paid(account_id, 10**9, key="paid", facts={})


async def _stored(project_id: str, account_id: AccountId) -> list[EntryId]:
    """The debits on the account, which must verify."""
    archive = FirestoreLedgerArchive(firestore.AsyncClient(project=project_id))
    found: list[EntryId] = []

    def see(entry: Any, _: object) -> None:
        if entry.kind == "debit":
            found.append(entry.entry_id)

    report = await verify_account(archive, account_id, on_entry=see)
    if report.balance_micros != 10**9 - len(found):
        raise BenchFailed("the balance is not what the debits leave")
    return found


if __name__ == "__main__":
    sys.exit(run_bench("bench.hot", measure))
