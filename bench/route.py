"""Choosing among contributed keys: processor time of a choice, and what it asks Firestore once a process is warm.

A thousand active keys stand in Firestore, all for one model. The production shelf reads them, leases what it works
with, and is then asked for a key as each call asks: chosen, its worst case reserved, the call's charge counted. Beside
it: what reading all keys takes, which no warm call waits for, and what a choice costs that has to lease first.
"""

import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from google.cloud import firestore

from bench.report import BenchFailed, at_most, exactly, median, percentile, run_bench, say
from bench.rpcs import RpcCounter
from local.emulators import start_firestore
from shared.base.ids import UserId
from shared.resources.models import ContributedKey, KeyId, KeyStatus
from shared.resources.store import record_document
from shared.shelf import rules
from shared.shelf.complaints import Complaints
from shared.shelf.service import Shelf
from shared.shelf.store import FirestoreShelf
from shared.vault.models import Envelope

KEYS, KEYS_QUICK = 1_000, 40
CHOICES, CHOICES_QUICK = 5_000, 200
"""Over long before what keys there are is read anew, which happens beside calls and would count as theirs."""
OWNERS = 300
BATCH = 400
MODEL, PROVIDER, HOST = "maker/model", "provider", "provider.example"
WORST_MICROS = 2_000
CHOOSE_MS_MAX = 1.0
SEALED = Envelope("1", secrets.token_bytes(64), secrets.token_bytes(12), secrets.token_bytes(64))
"""Opened by nobody here: a choice opens nothing."""


def measure(quick: bool) -> dict[str, Any]:
    """On an emulator of our own, unless there is one already."""
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        return asyncio.run(_measure(quick))
    with tempfile.TemporaryDirectory(prefix="credence-") as folder, start_firestore(Path(folder)) as service:
        os.environ["FIRESTORE_EMULATOR_HOST"] = service.address
        return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> dict[str, Any]:
    client = firestore.AsyncClient(project=f"demo-route-{secrets.token_hex(4)}")
    keys = KEYS_QUICK if quick else KEYS
    say(f"Writing {keys} keys")
    await _write(client, keys)
    counter = RpcCounter(client)
    store = FirestoreShelf(client)
    shelf = Shelf(store, Complaints(store, None, lambda: 0), {PROVIDER: HOST}, seed=secrets.randbits(32))
    began_at_s = time.perf_counter()
    await shelf.known()
    read_ms = (time.perf_counter() - began_at_s) * 1000
    read = counter.take()
    leasing_ms = [await _choose(shelf) for _ in range(rules.KEYS_AT_WORK_MAX)]
    leased = counter.take()
    say("Choosing")
    began_cpu_s = time.process_time()
    sample = [await _choose(shelf) for _ in range(CHOICES_QUICK if quick else CHOICES)]
    choose_ms = (time.process_time() - began_cpu_s) * 1000 / len(sample)
    warm = counter.take()
    return {
        "choose_ms": choose_ms,
        "choose_p50_ms": median(sample),
        "choose_p99_ms": percentile(sample, 99),
        "reads_warm": warm.reads / len(sample),
        "rpcs_warm": warm.rpcs / len(sample),
        "keys": keys,
        "leases_taken": leased.rpcs,
        "choose_leasing_ms": median(leasing_ms),
        "refresh_ms": read_ms,
        "refresh_reads": read.reads,
        "targets": {
            "choose_ms": at_most(CHOOSE_MS_MAX, choose_ms),
            "reads_warm": exactly(0, warm.reads / len(sample)),
        },
        "noise": {"choices": len(sample)},
    }


async def _choose(shelf: Shelf) -> float:
    """One call's choice, and what it took in milliseconds."""
    began_at_s = time.perf_counter()
    shelf.tend()
    loan = await shelf.borrow(PROVIDER, MODEL, WORST_MICROS, payers={UserId("buyer")}, left_out=frozenset())
    if loan is None:
        raise BenchFailed("a call was lent no key")
    shelf.answered(loan)
    loan.settled(0)
    return (time.perf_counter() - began_at_s) * 1000


async def _write(client: firestore.AsyncClient, keys: int) -> None:
    for first in range(0, keys, BATCH):
        batch = client.batch()
        for number in range(first, min(first + BATCH, keys)):
            key = _key(number)
            batch.set(client.document(f"resources/{key.id}"), record_document(key))
        await batch.commit()


def _key(number: int) -> ContributedKey:
    """Of one of some owners, trusted and used as far as its number says."""
    return ContributedKey(
        id=KeyId(f"key{number:09}"),
        owner=UserId(f"owner{number % OWNERS}"),
        provider=PROVIDER,
        host=HOST,
        models=(MODEL,),
        quota_micros=10**9,
        leased_micros=number * 10**5,
        trust_ppm=200_000 + number * 997 % 800_000,
        status=KeyStatus.ACTIVE,
        sealed=SEALED,
        fingerprint=f"fingerprint{number}",
    )


if __name__ == "__main__":
    sys.exit(run_bench("bench.route", measure))
