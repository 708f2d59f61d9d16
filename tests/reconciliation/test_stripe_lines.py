"""Stripe's balance transactions in our words. The shapes are those of its API reference."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.payments.errors import RailRefused
from shared.payments.models import Money, Subject
from shared.reconciliation.days import start_ms
from shared.reconciliation.models import LineKind
from shared.reconciliation.stripe import StripeStatements

ORDER = "a" * 24
CHARGE = {
    "id": "ch_1",
    "object": "charge",
    "amount": 39_900,
    "currency": "inr",
    "payment_intent": "pi_1",
    "metadata": {"credence_order": ORDER},
}
TRANSACTION = {
    "id": "txn_1",
    "object": "balance_transaction",
    "amount": 480,
    "fee": 44,
    "net": 436,
    "currency": "usd",
    "created": 1_800_000_000,
    "type": "charge",
    "source": CHARGE,
}


class Canned:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, dict[str, Any]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append((path, dict(params)))
        if path not in self._answers:
            raise RailRefused("Stripe", "resource_missing")
        return self._answers[path]

    async def post(self, path: str, params: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        raise AssertionError("who reads books writes nothing")


def listed(*found: dict[str, Any], more: bool = False) -> dict[str, Any]:
    return {"object": "list", "has_more": more, "data": list(found)}


async def lines_of(*found: dict[str, Any]) -> list[Any]:
    page = await StripeStatements(Canned({"/v1/balance_transactions": listed(*found)})).lines("2027-01-15", None)
    return list(page.lines)


async def test_a_charge_is_told_in_both_currencies() -> None:
    [line] = await lines_of(TRANSACTION)

    assert (line.kind, line.amount_minor, line.fee_minor, line.currency) == (LineKind.PAYMENT, 480, 44, "USD")
    assert (line.money, line.payment_id, line.order_id) == (Money(39_900, "INR"), "pi_1", ORDER)
    assert (line.at_ms, line.about, line.net_minor) == (1_800_000_000_000, "ch_1", 436)


@pytest.mark.parametrize(
    ("kind", "source", "meant"),
    [
        ("refund", {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}, LineKind.REFUND),
        ("refund_failure", {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}, LineKind.REFUND),
        ("adjustment", {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1"}, LineKind.DISPUTE),
        ("adjustment", {"id": "adj_1", "object": "adjustment"}, LineKind.OTHER),
        ("stripe_fee", None, LineKind.OTHER),
        ("transfer", "tr_1", LineKind.TRANSFER),
        ("payout_failure", "po_1", LineKind.PAYOUT),
        ("of_tomorrow", "x_1", LineKind.OTHER),
    ],
)
async def test_every_type_has_a_word_of_ours(kind: str, source: Any, meant: LineKind) -> None:
    [line] = await lines_of({**TRANSACTION, "type": kind, "source": source})

    assert line.kind is meant
    assert line.order_id is None


@pytest.mark.parametrize("metadata", [{}, {"credence_order": "../x"}, {"credence_order": 7}, {"other": ORDER}])
async def test_a_charge_of_somebody_else_names_no_order(metadata: dict[str, Any]) -> None:
    [line] = await lines_of({**TRANSACTION, "source": {**CHARGE, "metadata": metadata}})

    assert line.order_id is None


async def test_a_fee_that_is_not_told_is_unknown_and_not_zero() -> None:
    [line] = await lines_of({**TRANSACTION, "fee": None})

    assert line.fee_minor is None


async def test_a_day_is_asked_for_by_its_bounds_and_page_by_page() -> None:
    api = Canned({"/v1/balance_transactions": listed(TRANSACTION, more=True)})

    page = await StripeStatements(api).lines("2027-01-15", None)
    await StripeStatements(api).lines("2027-01-15", page.cursor)

    bounds = {"gte": start_ms("2027-01-15") // 1000, "lt": start_ms("2027-01-16") // 1000}
    assert [params["created"] for _, params in api.asked] == [bounds, bounds]
    assert [params.get("starting_after") for _, params in api.asked] == [None, "txn_1"]


async def test_a_payout_lists_what_is_in_it_without_its_own_line() -> None:
    own = {**TRANSACTION, "id": "txn_2", "type": "payout", "source": "po_1", "amount": -436, "fee": 0}
    api = Canned({"/v1/balance_transactions": listed(own, TRANSACTION)})

    page = await StripeStatements(api).payout_lines("po_1", None)

    assert [line.line_id for line in page.lines] == ["txn_1"]
    assert api.asked[0][1]["payout"] == "po_1"


async def test_only_a_payout_that_is_paid_is_one() -> None:
    payout = {"id": "po_1", "amount": 436, "currency": "usd", "status": "paid"}
    statements = StripeStatements(
        Canned({"/v1/payouts/po_1": payout, "/v1/payouts/po_2": {**payout, "id": "po_2", "status": "failed"}})
    )

    found = [await statements.bank_payout(name) for name in ("po_1", "po_2", "po_3")]

    assert [one and (one.payout_id, one.amount_minor, one.currency) for one in found] == [
        ("po_1", 436, "USD"),
        None,
        None,
    ]


async def test_more_payouts_of_a_day_than_are_read_are_refused_and_not_cut() -> None:
    payout = {"id": "po_1", "amount": 436, "currency": "usd", "status": "paid"}

    with pytest.raises(RailRefused):
        await StripeStatements(Canned({"/v1/payouts": listed(payout, more=True)})).bank_payouts("2027-01-15")


async def test_a_look_is_asked_for_at_what_moved() -> None:
    lines = await lines_of(
        TRANSACTION,
        {**TRANSACTION, "type": "refund", "source": {"id": "re_1", "object": "refund"}},
        {**TRANSACTION, "type": "payout", "source": "po_1"},
    )

    subjects = [StripeStatements(Canned({})).subject_of(line) for line in lines]
    assert subjects == [Subject("charge", "ch_1"), Subject("refund", "re_1"), None]
    assert await StripeStatements(Canned({})).line("txn_9") is None
