"""Entries verified in a second on one core, beside bare SHA-256 and sorted JSON with SHA-256 over the same entries.

`entries_per_s` is the walk of a chain whose entries were read: the number, the link, the hash over every field, lots
and legs, the balance; folded into the account. `documents_per_s` is all that `verify account` does with raw documents
once it has them: their shape and types, their lane and the accounts of their legs too, and the head in the end. The
entries are captures with the facts of a real call, posted by the production engine.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from bench.report import at_least, median, run_bench, say, spread
from shared.base.clock import system_clock
from shared.base.ids import AccountId, EntryId, HoldId
from shared.ledger.chain import Walk
from shared.ledger.documents import Document, entry_document, entry_from
from shared.ledger.engine import Engine
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Entry
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_account

ACCOUNT = AccountId("user:bench")
ENTRIES, ENTRIES_QUICK = 10_000, 200
ROUNDS, ROUNDS_QUICK = 15, 2
CALLS_AT_ONCE = 50
"""Below the cap on open holds."""
CALL_MICROS = 150
ENTRIES_PER_S_MIN = 100_000
JSON_RATIO_MIN = 0.5


def measure(quick: bool) -> dict[str, Any]:
    """All three over the same entries, round after round."""
    say("Posting the entries")
    archive = _AtHand(asyncio.run(_post(ENTRIES_QUICK if quick else ENTRIES)))
    entries = [entry_from(entry_id, document) for entry_id, document in archive.documents]
    documents = [entry_document(entry) for entry in entries]
    plain = [json.dumps(document, sort_keys=True).encode() for document in documents]
    ways: dict[str, Callable[[], object]] = {
        "verify": lambda: _verify(entries),
        "verify_documents": lambda: asyncio.run(verify_account(archive, ACCOUNT)),
        "sha": lambda: [hashlib.sha256(raw).digest() for raw in plain],
        "json": lambda: [_hash_json(document) for document in documents],
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    rounds = ROUNDS_QUICK if quick else ROUNDS
    say(f"{rounds} rounds over {len(entries)} entries")
    for _ in range(rounds):
        for name, way in ways.items():
            started_s = time.perf_counter()
            way()
            rates[name].append(len(entries) / (time.perf_counter() - started_s))
    sha_ratio = median([one / other for one, other in zip(rates["verify"], rates["sha"], strict=True)])
    json_ratio = median([one / other for one, other in zip(rates["verify"], rates["json"], strict=True)])
    per_s = median(rates["verify"])
    return {
        "entries_per_s": per_s,
        "documents_per_s": median(rates["verify_documents"]),
        "sha_per_s": median(rates["sha"]),
        "json_per_s": median(rates["json"]),
        "sha_ratio": sha_ratio,
        "json_ratio": json_ratio,
        "targets": {
            "entries_per_s": at_least(ENTRIES_PER_S_MIN, per_s),
            "json_ratio": at_least(JSON_RATIO_MIN, json_ratio),
        },
        "noise": {"rounds": rounds, "entries": len(entries), "entries_per_s": spread(rates["verify"])},
    }


def _verify(entries: list[Entry]) -> None:
    walk = Walk(ACCOUNT)
    for entry in entries:
        walk.step(entry)


def _hash_json(document: Document) -> bytes:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).digest()


class _AtHand(MemoryLedgerArchive):
    """Hands out the documents themselves: to order and to copy them is no part of verifying."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        super().__init__(store)
        named = [(entry_id, document) for (_, entry_id), document in store.entries.items()]
        self.documents: list[tuple[EntryId, Document]] = sorted(named, key=lambda one: one[1]["seq"])

    async def entry_documents(
        self, account_id: AccountId, after_seq: int = 0
    ) -> AsyncIterator[tuple[EntryId, Document]]:
        for one in self.documents[after_seq:]:
            yield one


async def _post(count: int) -> MemoryLedgerStore:
    """A paid account and the captures of calls on it, through the engine."""
    store = MemoryLedgerStore()
    now_ms = system_clock()
    ledger = Ledger(Engine(store), store, lambda: now_ms)
    await ledger.open(ACCOUNT)
    await ledger.grant_paid(ACCOUNT, count * CALL_MICROS, key="paid", facts={})

    async def call(number: int) -> None:
        hold_id = HoldId(f"req_{number:032x}")
        await ledger.hold(ACCOUNT, CALL_MICROS, hold_id=hold_id)
        await ledger.capture(ACCOUNT, hold_id, CALL_MICROS - 1, facts=_facts(number))

    calls = count - len(store.entries)
    for first in range(0, calls, CALLS_AT_ONCE):
        # Each batch in a minute of its own, for the account's rate.
        now_ms += 60_000
        await asyncio.gather(*(call(number) for number in range(first, min(first + CALLS_AT_ONCE, calls))))
    return store


def _facts(number: int) -> dict[str, str | int]:
    return {
        "completion_tokens": 16,
        "completion_tokens_rate": 30,
        "held_micros": CALL_MICROS,
        "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "outcome": "finished",
        "prompt_tokens": 9,
        "prompt_tokens_rate": 10,
        "provider": "huggingface",
        "request_id": f"req_{number:032x}",
        "upstream_model": "meta-llama/Llama-3.1-8B-Instruct",
        "usage_source": "reported",
    }


if __name__ == "__main__":
    sys.exit(run_bench("bench.verify", measure))
