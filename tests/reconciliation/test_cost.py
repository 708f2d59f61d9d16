"""What a thousand lines cost in documents that Firestore bills, and how many of them are in memory at once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from shared.reconciliation.days import day_of
from shared.reconciliation.service import AGAIN_DAYS, LATE_DAYS
from shared.reconciliation.statements import PAGE_LINES_MAX
from tests.ledger.builders import DAY
from tests.reconciliation.builders import Office

LINES = 120
READS_PER_1000_MAX, WRITES_PER_1000_MAX = 14_000, 2_300
READ_CENTS, WRITE_CENTS = 0.00003, 0.00009
"""Of Firestore's Standard edition in Iowa."""
NAMED = {"booked": 1, "named": 0, "bound": 1, "read": 1}
"""Calls that read what they name, and which argument that is."""
FOUND = {"booked_on", "booked_for", "paid_between", "open"}
WRITTEN = {"book": 2, "close_day": 0, "mark_paid_out": 2, "note": 0, "resolve": 0}
"""Calls that write what they are given, and which argument that is; the first two write their progress too."""


@dataclass
class Bill:
    """Documents read and written, and the most that one call was about."""

    reads: int = 0
    writes: int = 0
    most: int = 0


class Billed:
    """A store that counts what Firestore would bill. A query that finds nothing is billed as one read."""

    def __init__(self, inner: Any, bill: Bill) -> None:
        self._inner = inner
        self._bill = bill

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **named: Any) -> Any:
            args = tuple(list(arg) if hasattr(arg, "__next__") else arg for arg in args)
            answer, size = await getattr(self._inner, name)(*args, **named), 1
            if name in NAMED:
                size = len(args[NAMED[name]])
            elif name in FOUND:
                size = max(1, len(answer))
            elif name in WRITTEN:
                size = len(args[WRITTEN[name]])
                self._bill.writes += size + (name in ("book", "close_day"))
            if name == "put_progress":
                self._bill.writes += 1
            elif name not in WRITTEN or name == "note":
                self._bill.reads += size
            self._bill.most = max(self._bill.most, size)
            return answer

        return call


async def bill_of(lines: int) -> Bill:
    """So many purchases, from their day to the last look at them: settled, compared twice, paid out, not late."""
    office, bill = Office(), Bill()
    await office.shop.open_wallet()
    await office.night(3)
    for _ in range(lines):
        office.clock.now_ms += 1
        await office.buy()
    office.statements.pay_out("po_1", day_of(office.clock() + DAY), list(office.statements.shown))
    for _ in range(max(LATE_DAYS, AGAIN_DAYS) + 2):
        office.clock.now_ms += DAY
        await office.settle_ledger()
        for runs in office.processes(count=lambda inner: Billed(inner, bill)):
            await runs.run()
    assert office.all_tickets() == []
    return bill


async def test_a_thousand_lines_cost_less_than_a_cent_and_are_read_a_page_at_a_time() -> None:
    """Beyond what nights cost on which nothing was sold."""
    quiet, busy = await bill_of(0), await bill_of(LINES)

    reads, writes = (busy.reads - quiet.reads) * 1000 / LINES, (busy.writes - quiet.writes) * 1000 / LINES
    assert (reads < READS_PER_1000_MAX, writes < WRITES_PER_1000_MAX) == (True, True)
    assert reads * READ_CENTS + writes * WRITE_CENTS < 1
    assert busy.most <= PAGE_LINES_MAX
