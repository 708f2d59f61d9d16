"""Settlement: entries folded in a second, operations billed per 1,000 of them, and how both grow.

Sales are written as documents, with commit times inside windows long closed; then the production settlement folds and
posts them. The exponent is the slope of time over entries, both in logarithms: 1 is linear. Firestore's emulator has no
indexes and looks at the whole ledger for each query, so its own time grows with the square. It takes part with the two
smaller sizes, where it must be asked for exactly the operations that the model in memory counts; growth is the model's.
"""

import asyncio
import math
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from google.cloud import firestore

from bench.ledger_model import CountedLedger, CountedWindows
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
from shared.ledger.store import FirestoreLedgerStore, LedgerStore
from shared.ledger.unsettled import count_unsettled
from shared.ledger.windows import FirestoreLedgerWindows, LedgerWindows

SIZES, SIZES_QUICK = (1_000, 10_000, 100_000), (50, 100)
EMULATOR_SIZES, EMULATOR_SIZES_QUICK = (1_000, 10_000), (50, 100)
BUYERS = 200
CREATORS = 50
ENTRIES_A_WINDOW = 1_000
"""About three sales a second, over all bands."""
BATCH = 400
EXPONENT_MAX = 1.05


class Settled(NamedTuple):
    """What it took to settle so many sales."""

    took_s: float
    reads: float
    writes: float


def measure(quick: bool) -> dict[str, Any]:
    """One ledger of each size, in memory and, but for the largest, on the emulator."""
    sizes = SIZES_QUICK if quick else SIZES
    # The first one warms up; it does not count.
    asyncio.run(_settle_model(sizes[0]))
    model = {size: asyncio.run(_settle_model(size)) for size in sizes}
    emulated = _on_emulator(EMULATOR_SIZES_QUICK if quick else EMULATOR_SIZES)
    for size, settled in emulated.items():
        if settled[1:] != model[size][1:]:
            raise BenchFailed(f"{size} sales: the emulator was asked for {settled}, the model counts {model[size]}")
    exponent = _slope([(size, settled.took_s) for size, settled in model.items()])
    billed = _slope([(size, settled.reads + settled.writes) for size, settled in model.items()])
    largest, settled = sizes[-1], model[sizes[-1]]
    return {
        "per_s": largest / settled.took_s,
        "ops_per_1000": (settled.reads + settled.writes) * 1000 / largest,
        "reads_per_1000": settled.reads * 1000 / largest,
        "writes_per_1000": settled.writes * 1000 / largest,
        "exponent": exponent,
        "ops_exponent": billed,
        "sizes": {str(size): settled._asdict() for size, settled in model.items()},
        "emulator": {str(size): {**one._asdict(), "per_s": size / one.took_s} for size, one in emulated.items()},
        "targets": {"exponent": at_most(EXPONENT_MAX, exponent), "ops_exponent": at_most(EXPONENT_MAX, billed)},
        "noise": {"buyers": BUYERS, "creators": CREATORS, "entries_a_window": ENTRIES_A_WINDOW, "window_s": WINDOW_S},
    }


async def _settle_model(size: int) -> Settled:
    """Of a ledger in memory."""
    ledger = CountedLedger()
    for entry, committed_at in _sales(size):
        ledger.put((entry.account_id, entry.entry_id), entry_document(entry), committed_at)
    return await _settle(size, ledger, CountedWindows(ledger), ledger)


def _on_emulator(sizes: Sequence[int]) -> dict[int, Settled]:
    with tempfile.TemporaryDirectory(prefix="credence-") as folder, start_firestore(Path(folder)) as service:
        os.environ["FIRESTORE_EMULATOR_HOST"] = service.address
        return {size: asyncio.run(_settle_emulated(size)) for size in sizes}


async def _settle_emulated(size: int) -> Settled:
    client = firestore.AsyncClient(project=f"demo-settle-{secrets.token_hex(4)}")
    say(f"Writing {size} sales")
    await _write(client, list(_sales(size)))
    return await _settle(size, FirestoreLedgerStore(client), FirestoreLedgerWindows(client), RpcCounter(client))


async def _settle(
    size: int, store: LedgerStore, windows: LedgerWindows, counter: CountedLedger | RpcCounter
) -> Settled:
    """Settle all of it, and check that nothing is left."""
    owed = await count_unsettled(windows, await windows.horizons())
    if owed.entries != size:
        raise BenchFailed(f"{owed.entries} of {size} sales were written")
    settlement = Settlement(Engine(store), windows, system_clock)
    say(f"Settling {size} sales")
    entries = 0
    counter.take()
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
    return Settled(took_s, float(cost.reads), float(cost.writes))


def _sales(size: int) -> Iterator[tuple[Entry, datetime]]:
    """Sales spread over buyers, creators and closed windows."""
    windows = max(1, size // ENTRIES_A_WINDOW)
    # At the beginning of a window, so that two ledgers of one size have the same ones.
    begins_s = int(time.time()) // WINDOW_S * WINDOW_S - WINDOW_S * (windows + 10)
    begins_at = datetime.fromtimestamp(begins_s, UTC)
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
