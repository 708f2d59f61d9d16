"""Settlement on the emulator: entries folded in a second, operations billed per 1,000 of them, and how that grows.

Sales are written as documents, many at a time, with commit times inside windows long closed; then the production
settlement folds and posts them. The exponent is the slope of time over entries, both in logarithms: 1 is linear.
"""

import asyncio
import math
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.cloud import firestore

from bench.report import BenchFailed, at_most, run_bench, say
from bench.rpcs import RpcCounter
from local.emulators import start_firestore
from shared.base.clock import system_clock
from shared.base.ids import AccountId, EntryId
from shared.ledger.chain import seal
from shared.ledger.documents import entry_document
from shared.ledger.engine import Engine
from shared.ledger.models import HOUSE_REVENUE, Entry, EntryKind, Leg, LotChange, Origin
from shared.ledger.settlement import Settlement
from shared.ledger.settling import WINDOW_S
from shared.ledger.store import FirestoreLedgerStore
from shared.ledger.unsettled import count_unsettled
from shared.ledger.windows import FirestoreLedgerWindows

SIZES, SIZES_QUICK = (1_000, 10_000, 100_000), (50, 100)
BUYERS = 200
CREATORS = 50
ENTRIES_A_WINDOW = 1_000
"""About three sales a second, over all bands."""
BATCH = 400
EXPONENT_MAX = 1.05


def measure(quick: bool) -> dict[str, Any]:
    """One ledger of each size."""
    with tempfile.TemporaryDirectory(prefix="credence-") as folder, start_firestore(Path(folder)) as service:
        os.environ["FIRESTORE_EMULATOR_HOST"] = service.address
        sizes = SIZES_QUICK if quick else SIZES
        # The first one compiles the emulator; it does not count.
        asyncio.run(_settle(sizes[0]))
        results = [asyncio.run(_settle(size)) for size in sizes]
    exponent = _slope([(size, took_s) for size, (took_s, _, _) in zip(sizes, results, strict=True)])
    billed = _slope([(size, reads + writes) for size, (_, reads, writes) in zip(sizes, results, strict=True)])
    took_s, reads, writes = results[-1]
    return {
        "per_s": sizes[-1] / took_s,
        "ops_per_1000": (reads + writes) * 1000 / sizes[-1],
        "reads_per_1000": reads * 1000 / sizes[-1],
        "writes_per_1000": writes * 1000 / sizes[-1],
        "exponent": exponent,
        "ops_exponent": billed,
        "sizes": {
            str(size): {"took_s": took_s, "reads": reads, "writes": writes}
            for size, (took_s, reads, writes) in zip(sizes, results, strict=True)
        },
        "targets": {"exponent": at_most(EXPONENT_MAX, exponent), "ops_exponent": at_most(EXPONENT_MAX, billed)},
        "noise": {"buyers": BUYERS, "creators": CREATORS, "entries_a_window": ENTRIES_A_WINDOW, "window_s": WINDOW_S},
    }


async def _settle(size: int) -> tuple[float, float, float]:
    """Seconds, billed reads and billed writes of settling so many sales."""
    client = firestore.AsyncClient(project=f"demo-settle-{secrets.token_hex(4)}")
    say(f"Writing {size} sales")
    await _write(client, list(_sales(size)))
    windows = FirestoreLedgerWindows(client)
    owed = await count_unsettled(windows, await windows.horizons())
    if owed.entries != size:
        raise BenchFailed(f"{owed.entries} of {size} sales were written")
    settlement = Settlement(Engine(FirestoreLedgerStore(client)), windows, system_clock)
    say(f"Settling {size} sales")
    entries = 0
    counter = RpcCounter(client)
    started_s = time.perf_counter()
    while True:
        report = await settlement.run()
        entries += report.entries
        if report.finished:
            break
    took_s = time.perf_counter() - started_s
    cost = counter.take()
    if entries != size or (await count_unsettled(windows, await windows.horizons())).micros:
        raise BenchFailed(f"{entries} of {size} sales were settled")
    return took_s, float(cost.reads), float(cost.writes)


def _sales(size: int) -> Iterator[tuple[Entry, datetime]]:
    """Sales spread over buyers, creators and closed windows."""
    windows = max(1, size // ENTRIES_A_WINDOW)
    begins_at = datetime.now(UTC) - timedelta(seconds=WINDOW_S * (windows + 10))
    for number in range(size):
        creator = AccountId(f"earn:creator-{number % CREATORS}")
        entry = Entry(
            account_id=AccountId(f"user:buyer-{number % BUYERS}"),
            entry_id=EntryId(secrets.token_hex(32)),
            seq=number + 1,
            prev_hash="0" * 64,
            kind=EntryKind.CAPTURE,
            delta_micros=-100,
            balance_micros=0,
            lots=(LotChange(Origin.PAID, None, -100),),
            legs=(Leg(HOUSE_REVENUE, Origin.PAID, 15), Leg(creator, Origin.PAID, 85)),
            hold_id=None,
            request_hash="0" * 64,
            facts=(("model", "maker/model"),),
            at_ms=0,
        )
        yield seal(entry), begins_at + timedelta(seconds=WINDOW_S * windows * number / size)


async def _write(client: firestore.AsyncClient, sales: list[tuple[Entry, datetime]]) -> None:
    for first in range(0, len(sales), BATCH):
        batch = client.batch()
        for entry, committed_at in sales[first : first + BATCH]:
            document = {**entry_document(entry), "committed_at": committed_at}
            batch.set(client.document(f"accounts/{entry.account_id}/entries/{entry.entry_id}"), document)
        await batch.commit()


def _slope(points: list[tuple[int, float]]) -> float:
    """The exponent of growth: least squares over logarithms."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)


if __name__ == "__main__":
    sys.exit(run_bench("bench.settle", measure))
