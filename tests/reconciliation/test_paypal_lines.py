"""PayPal's transactions in our words. The shapes are those of its API reference."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.payments.errors import RailRefused, RailUnavailable
from shared.payments.models import Money, Subject
from shared.reconciliation.models import Line, LineKind
from shared.reconciliation.paypal import PayPalStatements

DAY = "2027-01-15"
ORDER = "a" * 24
PAYMENT = {
    "transaction_id": "5TY05013RG002845M",
    "paypal_reference_id": "9XB47351XX",
    "paypal_reference_id_type": "ODR",
    "transaction_event_code": "T0006",
    "transaction_initiation_date": "2027-01-15T04:03:52+0000",
    "transaction_updated_date": "2027-01-15T04:03:52+0000",
    "transaction_amount": {"currency_code": "USD", "value": "4.99"},
    "fee_amount": {"currency_code": "USD", "value": "-0.66"},
    "transaction_status": "S",
    "custom_field": ORDER,
}


class Canned:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, dict[str, Any]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        self.asked.append((path, dict(params)))
        return self._answers[path]

    async def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        raise AssertionError("who reads books writes nothing")


def listed(*found: dict[str, Any], refreshed: str = "2027-01-16T00:00:00+0000", pages: int = 1) -> dict[str, Any]:
    details = [{"transaction_info": one} for one in found]
    return {"transaction_details": details, "last_refreshed_datetime": refreshed, "total_pages": pages}


def books(answer: dict[str, Any], disputes: tuple[dict[str, Any], ...] = ()) -> tuple[PayPalStatements, Canned]:
    api = Canned({"/v1/reporting/transactions": answer, "/v1/customer/disputes": {"items": list(disputes)}})
    return PayPalStatements(api), api


async def lines_of(*found: dict[str, Any], disputes: tuple[dict[str, Any], ...] = ()) -> list[Line]:
    statements, _ = books(listed(*found), disputes)
    return list((await statements.lines(DAY, None)).lines)


async def test_a_payment_is_its_capture_and_names_its_order() -> None:
    [line] = await lines_of(PAYMENT)

    assert (line.kind, line.amount_minor, line.fee_minor, line.currency) == (LineKind.PAYMENT, 499, 66, "USD")
    assert (line.payment_id, line.order_id, line.money) == ("5TY05013RG002845M", ORDER, Money(499, "USD"))
    assert line.net_minor == 433
    assert PayPalStatements(Canned({})).subject_of(line) == Subject("capture", "5TY05013RG002845M")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("T1107", LineKind.REFUND),
        ("T1106", LineKind.REFUND),
        ("T1201", LineKind.DISPUTE),
        ("T0403", LineKind.PAYOUT),
        ("T0200", LineKind.OTHER),
        ("T1101", LineKind.OTHER),
    ],
)
async def test_event_codes_say_what_moved(code: str, kind: LineKind) -> None:
    back = {
        **PAYMENT,
        "transaction_id": "1RB",
        "transaction_event_code": code,
        "paypal_reference_id": "5TY",
        "transaction_amount": {"currency_code": "USD", "value": "-1.00"},
    }

    [line] = await lines_of(back, disputes=({"dispute_id": "PP-D-1"},))

    assert (line.kind, line.amount_minor) == (kind, -100)
    assert line.payment_id == ("5TY" if kind in (LineKind.REFUND, LineKind.DISPUTE) else None)
    assert line.about == ("PP-D-1" if kind is LineKind.DISPUTE else "1RB")


@pytest.mark.parametrize("code", ["T1105", "T1110", "T1111", "T1503", "T2101"])
async def test_a_hold_moves_nothing(code: str) -> None:
    assert await lines_of({**PAYMENT, "transaction_event_code": code}) == []


@pytest.mark.parametrize(("status", "count"), [("S", 1), ("F", 1), ("V", 1), ("P", 0), ("D", 0)])
async def test_only_what_was_done_is_a_line(status: str, count: int) -> None:
    assert len(await lines_of({**PAYMENT, "transaction_status": status})) == count


async def test_a_moment_of_another_zone_is_of_the_day_that_it_is_in_utc() -> None:
    late = {**PAYMENT, "transaction_initiation_date": "2027-01-15T23:30:00-0800"}

    assert await lines_of(late) == []


async def test_a_day_that_is_not_whole_is_not_read() -> None:
    statements, _ = books(listed(PAYMENT, refreshed="2027-01-15T22:00:00+0000"))

    with pytest.raises(RailUnavailable):
        await statements.lines(DAY, None)


async def test_pages_are_read_one_after_the_other() -> None:
    statements, api = books(listed(PAYMENT, pages=2))

    first = await statements.lines(DAY, None)
    second = await statements.lines(DAY, first.cursor)

    assert (first.cursor, second.cursor) == ("2", None)
    assert [asked["page"] for _, asked in api.asked] == ["1", "2"]


async def test_a_line_is_found_again_by_its_name() -> None:
    [line] = await lines_of(PAYMENT)
    statements, api = books(listed(PAYMENT, {**PAYMENT, "transaction_event_code": "T1503"}))

    assert await statements.line(line.line_id) == line
    assert api.asked[0][1]["transaction_id"] == "5TY05013RG002845M"
    assert await statements.line(f"other.T0006@{DAY}") is None


async def test_what_is_no_amount_or_no_moment_is_refused() -> None:
    for wrong in (
        {"transaction_amount": {"currency_code": "XXX", "value": "1.00"}},
        {"transaction_amount": {"currency_code": "USD", "value": "--1.00"}},
        {"transaction_initiation_date": "yesterday"},
    ):
        with pytest.raises(RailRefused):
            await lines_of({**PAYMENT, **wrong})


async def test_more_pages_than_anybody_reads_are_refused() -> None:
    statements, _ = books(listed(PAYMENT, pages=1_001))

    with pytest.raises(RailRefused):
        await statements.lines(DAY, None)
