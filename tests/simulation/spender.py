"""A process that posts the same script however often it is started, and says what was acknowledged: made to be killed.

`python -m tests.simulation.spender PROJECT NUMBER`. Each line on stdout is one acknowledged posting.
"""

import asyncio
import json
import random
import sys

from google.cloud import firestore

from shared.base.clock import system_clock
from shared.base.ids import AccountId, HoldId
from shared.ledger.engine import Engine
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import EntryKind
from shared.ledger.operation import Posted
from shared.ledger.service import Ledger
from shared.ledger.store import FirestoreLedgerStore

ACCOUNTS = (AccountId("user:ada"), AccountId("user:ben"), AccountId("user:clara"))
POSTINGS = 90
AT_ONCE = 6
FACTS = {"reason": "kill"}
Planned = tuple[EntryKind, AccountId, AccountId, int, str]
"""What, whose, to whom, how much, under which key."""


def script_of(number: int) -> list[Planned]:
    """The same for every start of the process with this number."""
    chance = random.Random(number)  # noqa: S311 - draws a workload, guards nothing
    kinds = (EntryKind.DEBIT, EntryKind.CAPTURE, EntryKind.TRANSFER)
    return [
        (chance.choice(kinds), *chance.sample(ACCOUNTS, 2), chance.randint(1, 9), f"{number}:{index}")
        for index in range(POSTINGS)
    ]


async def post(ledger: Ledger, planned: Planned) -> Posted:
    """Post it, and ask again as long as the outcome is unknown."""
    kind, account_id, payee_id, amount_micros, key = planned
    while True:
        try:
            match kind:
                case EntryKind.DEBIT:
                    return await ledger.debit(account_id, amount_micros, key=key, facts=FACTS)
                case EntryKind.TRANSFER:
                    return await ledger.transfer(account_id, payee_id, amount_micros, key=key, facts=FACTS)
                case _:
                    await ledger.hold(account_id, amount_micros, hold_id=HoldId(key))
                    return await ledger.capture(account_id, HoldId(key), amount_micros, facts=FACTS)
        except LedgerUnavailable:
            continue


async def main(project_id: str, number: int) -> None:
    """Post the whole script."""
    store = FirestoreLedgerStore(firestore.AsyncClient(project=project_id))
    ledger = Ledger(Engine(store), store, system_clock)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(planned: Planned) -> None:
        async with turns:
            posted = await post(ledger, planned)
        entry = posted.entry
        line = {"key": planned[-1], "account": entry.account_id, "id": entry.entry_id, "hash": entry.hash}
        print(json.dumps(line), flush=True)

    await asyncio.gather(*(one(planned) for planned in script_of(number)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
