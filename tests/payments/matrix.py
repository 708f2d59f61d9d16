"""Every rail against whatever a provider, a network or a thief may do, with the exact final balance of each case.

`python -m tests.payments.matrix` (or `make matrix`) prints the table and ends with 1 when a balance is another one.
A balance is (paid, promotional) credits of the buyer's wallet, after a pack of 500 with 50 on top.
"""

import asyncio
import contextlib
import io
import sys
from collections.abc import Iterator

from msgspec import Struct

from tests.payments import cases, crashes, reversal_cases
from tests.payments.bench import Bench
from tests.payments.builders import BENCHES, CREDIT, PACK, Shop
from tests.payments.cases import Case

WHOLE = (500, 50)
NOTHING = (0, 0)
DEATHS_MIN = 20
"""A sweep of fewer steps did not do what its case is about."""

MATRIX: dict[Case, tuple[int, int]] = {
    cases.bought: WHOLE,
    cases.duplicate: WHOLE,
    cases.reordered: WHOLE,
    cases.concurrent: WHOLE,
    cases.replayed: NOTHING,
    cases.forged: NOTHING,
    cases.stale: NOTHING,
    cases.future: NOTHING,
    cases.lost_events: WHOLE,
    cases.wrong_amount: NOTHING,
    cases.wrong_currency: NOTHING,
    cases.wrong_rail: NOTHING,
    cases.order_unknown: NOTHING,
    cases.paid_twice: WHOLE,
    cases.payment_of_another_order: WHOLE,
    cases.unknown_status: NOTHING,
    cases.unpaid: NOTHING,
    reversal_cases.refunded: NOTHING,
    reversal_cases.refunded_in_parts: NOTHING,
    reversal_cases.refunded_before_granted: NOTHING,
    reversal_cases.refund_after_spend: (-300, 0),
    reversal_cases.refund_failed: WHOLE,
    reversal_cases.refund_failed_after_dispute_lost: NOTHING,
    reversal_cases.dispute_open: (0, 50),
    reversal_cases.dispute_won: WHOLE,
    reversal_cases.dispute_lost: NOTHING,
    reversal_cases.dispute_lost_after_spend: (-300, 0),
    reversal_cases.dispute_lost_learned_at_once: NOTHING,
    reversal_cases.dispute_above_the_price: NOTHING,
    reversal_cases.two_disputes_lost: NOTHING,
    reversal_cases.lost_then_won_on_appeal: WHOLE,
    reversal_cases.warned: NOTHING,
    reversal_cases.warned_then_refunded: NOTHING,
    reversal_cases.warned_then_refund_failed: (0, 50),
    reversal_cases.warned_then_refunded_at_last: NOTHING,
    reversal_cases.warned_then_dispute_won: WHOLE,
    reversal_cases.warned_then_dispute_lost: NOTHING,
}
ROUNDED: Case = reversal_cases.refunded_partly
"""Its balance depends on the price, which each currency has of its own: see `wanted`."""
CRASHES: dict[Case, tuple[int, int]] = {
    crashes.purchase: WHOLE,
    crashes.refund: (-300, 0),
    crashes.decided_for_us: WHOLE,
    crashes.decided_against_us: NOTHING,
    crashes.warning: (0, 50),
}
"""Each with a death between any two steps."""
WAITING = {reversal_cases.dispute_open, reversal_cases.warned, reversal_cases.warned_then_refund_failed}
"""Where credits are still set aside at the end."""


class Row(Struct, frozen=True):
    """One line of the table."""

    rail: str
    case: str
    balance: str
    verdict: str
    is_right: bool


def rows_of(bench: type[Bench]) -> Iterator[Row]:
    """The rail's part of the table, each row once it is known."""
    for case in (*MATRIX, ROUNDED, *CRASHES):
        name = case_name(case)
        if name in bench.absent:
            yield Row(bench.name, name, "-", f"has no meaning: {bench.absent[name]}", is_right=True)
            continue
        try:
            balance, note = _ends_with(bench, case)
        except Exception as error:  # noqa: BLE001 - whatever a case ends with is a row
            yield Row(bench.name, name, "-", f"WRONG: {type(error).__name__}: {error}", is_right=False)
            continue
        must_be = wanted(bench, case)
        verdict = f"right{note}" if balance == must_be else f"WRONG: it must be {_text(must_be)}"
        yield Row(bench.name, name, _text(balance), verdict, is_right=balance == must_be)


def wanted(bench: type[Bench], case: Case) -> tuple[float, float]:
    """The balance that the case must leave."""
    if case is not ROUNDED:
        return MATRIX[case] if case in MATRIX else CRASHES[case]
    price_minor, part_minor = PACK.prices_minor[bench.currency], reversal_cases.PART_MINOR
    left = [whole - whole * part_minor // price_minor for whole in (PACK.credits_micros, PACK.bonus_micros)]
    return left[0] / CREDIT, left[1] / CREDIT


def case_name(case: Case) -> str:
    """As it stands in the table and in a bench's `absent`."""
    return f"crash_{case.__name__}" if case in CRASHES else case.__name__


def _ends_with(bench: type[Bench], case: Case) -> tuple[tuple[float, float], str]:
    """The balance, the first wrong one of several, and what there is to say of how it was found."""
    if case not in CRASHES:
        return asyncio.run(_balance_after(bench, case)), ""
    balances = asyncio.run(crashes.balances_after_deaths(bench, case))
    assert len(balances) >= DEATHS_MIN, f"only {len(balances)} deaths"
    wrong = [balance for balance in balances if balance != CRASHES[case]]
    return (wrong or balances)[0], f", after each of {len(balances)} deaths"


async def _balance_after(bench: type[Bench], case: Case) -> tuple[float, float]:
    shop = Shop(bench)
    await shop.open_wallet()
    await case(shop)
    assert bool(await shop.set_aside()) == (case in WAITING), "credits are set aside that should not be, or the reverse"
    await shop.check_books()
    return await shop.credits()


def _text(balance: tuple[float, float]) -> str:
    return "{:g} + {:g}".format(*balance)


def main() -> int:
    """Print the table; 1 when a row is wrong."""
    print(f"{'rail':10}{'case':32}{'balance':22}verdict")
    wrong = 0
    for bench in BENCHES:
        rows = rows_of(bench)
        while True:
            # What the code logs is for another reader.
            with contextlib.redirect_stdout(io.StringIO()):
                row = next(rows, None)
            if row is None:
                break
            wrong += not row.is_right
            print(f"{row.rail:10}{row.case:32}{row.balance:22}{row.verdict}", flush=True)
    print(f"{wrong} wrong" if wrong else "every balance is exact")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
