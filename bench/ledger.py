"""Our debit beside the least that Firestore can do (one Commit) and beside the usual way (a transaction).

The bare commit is written with the client library's own batch. Our store writes plainer messages, so a debit can take
less time than that; `store_commit_ms` is the same commit through our store and no engine, the floor under our debit.
Everything runs on one emulator, in interleaved rounds. Then many debits meet on one account. When the usual way does
not bring a single one through before its deadline, its rate counts as one debit in that time, so that `hot_ratio` is
a lower bound and not infinite.
"""

import asyncio
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from google.cloud import firestore
from msgspec.structs import replace

from bench.report import at_least, at_most, exactly, median, rotations, run_bench, say, spread
from bench.rpcs import Cost, RpcCounter
from bench.stock import debit_stock
from local.emulators import start_firestore
from shared.base.clock import system_clock
from shared.base.economy import DAY_MS
from shared.base.ids import AccountId, EntryId, HoldId
from shared.base.micros import credits_to_micros
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.engine import Engine
from shared.ledger.models import Entry
from shared.ledger.postings import Debit
from shared.ledger.service import HOUSE_ONLY, Ledger
from shared.ledger.store import FirestoreLedgerStore, HeadWrite
from shared.ledger.verify import verify_account

ROUNDS, ROUNDS_QUICK = 400, 4
WARM_UP_ROUNDS, WARM_UP_ROUNDS_QUICK = 50, 1
WARM_UP_COMMITS, WARM_UP_COMMITS_QUICK = 2_000, 1
"""Bare commits before anything counts: until then the emulator is busy compiling itself."""
HOT_DEBITS, HOT_DEBITS_QUICK = 200, 20
HOT_REPEATS = 5
"""Ours is over in a moment, so it is done several times; the transactions are done once."""
STOCK_DEADLINE_S, STOCK_DEADLINE_S_QUICK = 120.0, 1.0
AMOUNT_MICROS = 1_000
FACTS = {"reason": "bench", "charged_by": "backend@local.iam.gserviceaccount.com"}
WARM_RATIO_MAX = 1.3
HOT_RATIO_MIN = 20


class Ways:
    """Four ways to write a debit's two documents, each on an account of its own."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self._store = FirestoreLedgerStore(client)
        self._ledger = self._new_ledger()
        self._warm = self._cold = self._stock = AccountId("")
        self._bare: firestore.AsyncDocumentReference | None = None
        self._bare_version: object = None
        self._bare_documents: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self._head_write: HeadWrite | None = None
        self._entry: Entry | None = None
        self.accounts: list[AccountId] = []
        """Every account that was opened, to be verified in the end."""

    async def open(self) -> None:
        """Open an account for each way; the bare commit writes copies of real documents, outside the ledger."""
        self._warm, self._cold, self._stock = [await self.open_account() for _ in range(3)]
        posted = await self._ledger.debit(self._warm, AMOUNT_MICROS, key=_key(), facts=FACTS)
        original = self._client.collection("accounts").document(self._warm)
        head = (await original.get()).to_dict() or {}
        entry = (await original.collection("entries").document(posted.entry.entry_id).get()).to_dict() or {}
        self._bare_documents = (head, entry)
        self._bare = self._client.collection("bare").document(self._warm)
        self._bare_version = (await self._bare.create(head)).update_time
        # Heads and entries that no chain holds, so this account is not among those verified in the end.
        loose = AccountId(f"user:{secrets.token_hex(14)}")
        self._head_write = HeadWrite(replace(await self._ledger.head(self._warm), account_id=loose), None)
        self._entry = replace(posted.entry, account_id=loose)

    async def open_account(self) -> AccountId:
        """A new account with more on it than any part of this benchmark spends."""
        account_id = AccountId(f"user:{secrets.token_hex(14)}")
        self.accounts.append(account_id)
        await self._ledger.open(account_id)
        amount_micros = credits_to_micros(1_000)
        await self._ledger.grant_promo(account_id, amount_micros, lifetime_ms=DAY_MS, key="bench", facts=FACTS)
        return account_id

    async def commit_bare(self) -> None:
        """One Commit of two documents of the same size: an update over a known version, and a create."""
        assert self._bare is not None
        head, entry = self._bare_documents
        batch = self._client.batch()
        option = self._client.write_option(last_update_time=self._bare_version)
        batch.update(self._bare, {**head, "posted_at": firestore.SERVER_TIMESTAMP}, option=option)
        entry_ref = self._bare.collection("entries").document(secrets.token_hex(32))
        batch.create(entry_ref, {**entry, "committed_at": firestore.SERVER_TIMESTAMP})
        results = await batch.commit(retry=None, timeout=5.0)
        self._bare_version = results[0].update_time

    async def commit_store(self) -> None:
        """The same by our store, without an engine: what is left when nothing is decided, hashed or queued."""
        assert self._head_write is not None
        assert self._entry is not None
        head = self._head_write.head
        entry = replace(self._entry, entry_id=EntryId(secrets.token_hex(32)))
        versions = await self._store.commit([self._head_write], [entry])
        self._head_write = HeadWrite(head, versions[head.account_id])

    async def debit_warm(self) -> None:
        """A debit by an engine that knows the account."""
        await self._ledger.debit(self._warm, AMOUNT_MICROS, key=_key(), facts=FACTS)

    async def debit_cold(self) -> None:
        """A debit by an engine that has never seen the account."""
        await self._new_ledger().debit(self._cold, AMOUNT_MICROS, key=_key(), facts=FACTS)

    async def debit_stock(self) -> None:
        """A debit in the library's transaction."""
        await self.debit_stock_on(self._stock)

    async def debit_on(self, account_id: AccountId) -> None:
        """A debit by our engine, on any account."""
        await self._ledger.debit(account_id, AMOUNT_MICROS, key=_key(), facts=FACTS)

    async def debit_stock_on(self, account_id: AccountId) -> None:
        """A debit in the library's transaction, on any account."""
        facts = tuple(sorted(FACTS.items()))
        debit = Debit(
            account_id=account_id,
            amount_micros=AMOUNT_MICROS,
            shares=HOUSE_ONLY,
            key=_key(),
            facts=facts,
            at_ms=system_clock(),
        )
        await debit_stock(self._client, debit)

    async def hold(self, hold_id: HoldId) -> None:
        """Set credits aside on the warm account."""
        await self._ledger.hold(self._warm, AMOUNT_MICROS, hold_id=hold_id)

    async def capture(self, hold_id: HoldId) -> None:
        """Take what was set aside."""
        await self._ledger.capture(self._warm, hold_id, AMOUNT_MICROS, facts=FACTS)

    def _new_ledger(self) -> Ledger:
        return Ledger(Engine(self._store), self._store, system_clock)


def measure(quick: bool) -> dict[str, Any]:
    """All of it, on an emulator of its own."""
    with tempfile.TemporaryDirectory(prefix="credence-") as folder, start_firestore(Path(folder)) as emulator:
        say(f"Firestore emulator: {emulator.address}")
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.address
        return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> dict[str, Any]:
    # An emulator that somebody else started may keep what earlier runs wrote: a new project each time.
    client = firestore.AsyncClient(project=f"demo-bench-{secrets.token_hex(6)}")
    ways = Ways(client)
    await ways.open()
    counter = RpcCounter(client)
    say("Warming the emulator up")
    for _ in range(WARM_UP_COMMITS_QUICK if quick else WARM_UP_COMMITS):
        await ways.commit_bare()
    times, costs = await _time_ways(ways, counter, quick)
    costs |= await _count_holds(ways, counter)
    hot = await _time_hot(ways, quick)
    say("Verifying every account")
    for account_id in ways.accounts:
        # Raises ChainBroken, and ends the benchmark, if anything was lost or doubled.
        await verify_account(FirestoreLedgerArchive(client), account_id)
    client.close()
    return _figures(times, costs, hot, hot_debits=HOT_DEBITS_QUICK if quick else HOT_DEBITS)


async def _time_ways(ways: Ways, counter: RpcCounter, quick: bool) -> tuple[dict[str, list[float]], dict[str, Cost]]:
    """Milliseconds of each try, and the mean cost of one, by way."""
    actions: dict[str, Callable[[], Awaitable[None]]] = {
        "bare_commit": ways.commit_bare,
        "store_commit": ways.commit_store,
        "debit_warm": ways.debit_warm,
        "debit_cold": ways.debit_cold,
        "stock": ways.debit_stock,
    }
    rounds = ROUNDS_QUICK if quick else ROUNDS
    warm_up_rounds = WARM_UP_ROUNDS_QUICK if quick else WARM_UP_ROUNDS
    say(f"{rounds} rounds of {', '.join(actions)}")
    times: dict[str, list[float]] = {name: [] for name in actions}
    costs = dict.fromkeys(actions, Cost())
    for number, names in enumerate(rotations(list(actions), warm_up_rounds + rounds)):
        for name in names:
            counter.take()
            took_ms = await _timed_ms(actions[name])
            if number >= warm_up_rounds:
                times[name].append(took_ms)
                costs[name] += counter.take()
    return times, {name: cost.per(rounds) for name, cost in costs.items()}


async def _count_holds(ways: Ways, counter: RpcCounter) -> dict[str, Cost]:
    hold_id = HoldId(_key())
    counter.take()
    await ways.hold(hold_id)
    held = counter.take()
    await ways.capture(hold_id)
    return {"hold": held, "capture": counter.take()}


async def _time_hot(ways: Ways, quick: bool) -> dict[str, float]:
    """Many debits at once on one account."""
    count = HOT_DEBITS_QUICK if quick else HOT_DEBITS
    deadline_s = STOCK_DEADLINE_S_QUICK if quick else STOCK_DEADLINE_S
    say(f"{count} debits at once on one account, {HOT_REPEATS} times")
    ours = [await _run_hot(ways.debit_on, await ways.open_account(), count, deadline_s) for _ in range(HOT_REPEATS)]
    say(f"{count} transactions at once on one account, for at most {deadline_s:g} s")
    stock_ok, stock_s = await _run_hot(ways.debit_stock_on, await ways.open_account(), count, deadline_s)
    ours_per_s = median([ok / took_s for ok, took_s in ours])
    return {
        "hot_ours_ok": min(ok for ok, _ in ours),
        "hot_ours_per_s": ours_per_s,
        "hot_stock_ok": stock_ok,
        "hot_stock_per_s": stock_ok / stock_s,
        "hot_ratio": ours_per_s / (max(1, stock_ok) / stock_s),
        "hot_stock_s": stock_s,
    }


async def _run_hot(
    debit: Callable[[AccountId], Awaitable[None]], account_id: AccountId, count: int, deadline_s: float
) -> tuple[int, float]:
    """How many came through, and how long it took until the last one ended, one way or the other."""
    tasks = [asyncio.ensure_future(debit(account_id)) for _ in range(count)]
    started_at_s = time.perf_counter()
    done, late = await asyncio.wait(tasks, timeout=deadline_s)
    took_s = time.perf_counter() - started_at_s
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return sum(task.exception() is None for task in done), took_s


async def _timed_ms(action: Callable[[], Awaitable[None]]) -> float:
    started_at_s = time.perf_counter()
    await action()
    return (time.perf_counter() - started_at_s) * 1000


def _figures(
    times: Mapping[str, list[float]], costs: Mapping[str, Cost], hot: dict[str, float], *, hot_debits: int
) -> dict[str, Any]:
    medians = {name: statistics.median(sample) for name, sample in times.items()}
    warm_ratio = medians["debit_warm"] / medians["bare_commit"]
    warm_rpcs, hot_stock_s = costs["debit_warm"].rpcs, hot.pop("hot_stock_s")
    hold_writes, capture_writes = costs["hold"].writes, costs["capture"].writes
    return {
        "bare_commit_ms": medians["bare_commit"],
        "store_commit_ms": medians["store_commit"],
        "debit_warm_ms": medians["debit_warm"],
        "debit_warm_ratio": warm_ratio,
        "debit_warm_rpcs": warm_rpcs,
        "debit_cold_ms": medians["debit_cold"],
        "debit_cold_rpcs": costs["debit_cold"].rpcs,
        "stock_ms": medians["stock"],
        "stock_rpcs": costs["stock"].rpcs,
        "hold_writes": hold_writes,
        "capture_writes": capture_writes,
        **hot,
        "billed": {name: asdict(cost) for name, cost in costs.items()},
        "targets": {
            "debit_warm_rpcs": exactly(1, warm_rpcs),
            "debit_warm_ratio": at_most(WARM_RATIO_MAX, warm_ratio),
            "hold_writes": exactly(1, hold_writes),
            "capture_writes": exactly(2, capture_writes),
            "hot_ours_ok": exactly(hot_debits, hot["hot_ours_ok"]),
            "hot_ratio": at_least(HOT_RATIO_MIN, hot["hot_ratio"]),
        },
        "noise": {
            "rounds": len(times["bare_commit"]),
            "bare_commit_ms": spread(times["bare_commit"]),
            "debit_warm_ms": spread(times["debit_warm"]),
            "hot_stock_s": hot_stock_s,
        },
    }


def _key() -> str:
    return secrets.token_hex(16)


if __name__ == "__main__":
    sys.exit(run_bench("bench.ledger", measure))
