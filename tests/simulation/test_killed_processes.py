"""What the simulation claims, once more on the real emulator: processes are killed at random and nothing is lost."""

import asyncio
import json
import os
import random
import signal
import sys

from google.cloud import firestore

from local.node import REPOSITORY
from local.stack import Stack
from shared.base.clock import system_clock
from shared.base.ids import AccountId, EntryId
from shared.ledger.archive import FirestoreLedgerArchive
from shared.ledger.engine import Engine
from shared.ledger.models import EntryKind
from shared.ledger.service import Ledger
from shared.ledger.store import EntryRef, FirestoreLedgerStore
from shared.ledger.verify import verify_ledger
from tests.ledger.builders import DAY, chance_of
from tests.simulation.spender import ACCOUNTS, FACTS, POSTINGS, Planned, script_of

PROCESSES = 4
KILLS_EACH = 2
GRANTED_MICROS = 10**6
DEADLINE_S = 55.0

Acknowledged = dict[str, tuple[EntryRef, str]]


async def spend(environment: dict[str, str], project_id: str, number: int, chance: random.Random) -> Acknowledged:
    """Start a process and kill it at a random moment, again and again; then let it end. What it was told."""
    told: Acknowledged = {}
    for lives_left in reversed(range(KILLS_EACH + 1)):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.simulation.spender",
            project_id,
            str(number),
            cwd=REPOSITORY,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            lines = 0
            dies_after = chance.randint(1, POSTINGS // 2) if lives_left else POSTINGS + 1
            async for line in process.stdout:
                posting = json.loads(line)
                said = ((AccountId(posting["account"]), EntryId(posting["id"])), posting["hash"])
                assert told.setdefault(posting["key"], said) == said
                lines += 1
                if lines == dies_after:
                    await asyncio.sleep(chance.uniform(0, 0.02))
                    process.send_signal(signal.SIGKILL)
        except BaseException:
            process.kill()
            raise
        status = await process.wait()
        assert status == (-signal.SIGKILL if lives_left else 0)
    return told


async def test_killed_processes_lose_and_double_nothing(
    stack: Stack, project_id: str, client: firestore.AsyncClient
) -> None:
    """Every posting of every script stands once and as it was acknowledged, and all chains hold."""
    environment = {**os.environ, "FIRESTORE_EMULATOR_HOST": stack.firestore_address}
    store = FirestoreLedgerStore(client)
    ledger = Ledger(Engine(store), store, system_clock)
    for account_id in ACCOUNTS:
        await ledger.open(account_id)
        await ledger.grant_promo(account_id, GRANTED_MICROS, lifetime_ms=DAY, key="all", facts=FACTS)

    async with asyncio.timeout(DEADLINE_S):
        spent = (spend(environment, project_id, number, chance_of(number)) for number in range(PROCESSES))
        told = [posting for each in await asyncio.gather(*spent) for posting in each.values()]

    planned = [posting for number in range(PROCESSES) for posting in script_of(number)]
    archive = FirestoreLedgerArchive(client)
    report = await verify_ledger(archive, {})
    stored = await archive.entries_named([ref for ref, _ in told])
    assert report.intact
    assert len(told) == len(planned) == len({ref for ref, _ in told})
    assert {ref: document["hash"] for ref, document in stored.items()} == dict(told)
    assert report.entries == 2 * len(ACCOUNTS) + len(planned) + sum(p[0] is EntryKind.TRANSFER for p in planned)
    for account_id in ACCOUNTS:
        head = await ledger.head(account_id)
        assert head.balance_micros == GRANTED_MICROS + expected_change_micros(planned, account_id)


def expected_change_micros(planned: list[Planned], account_id: AccountId) -> int:
    """What all scripts together do to an account."""
    paid = sum(amount for _, payer_id, _, amount, _ in planned if payer_id == account_id)
    kept = [(payee_id, amount) for kind, _, payee_id, amount, _ in planned if kind is EntryKind.TRANSFER]
    return sum(amount for payee_id, amount in kept if payee_id == account_id) - paid
