"""What a posting is held against, for each rail."""

import pytest
from msgspec.structs import replace

from shared.base.ids import AccountId, UserId, entry_id_of
from shared.ledger.models import GENESIS_HASH, Entry, EntryKind
from shared.payments import rules as payment_rules
from shared.payments.models import OrderState, PaymentId, RailName, Reversal, ReversalKind, ReversalState
from shared.payments.rules import payment_name
from shared.reconciliation.rules import of_entry
from tests.ledger.builders import NOW
from tests.payments.builders import PACK

WALLET = AccountId("user:ada")
PAYMENT = PaymentId("pay/1")


def posted(key: str, payment: str, micros: int) -> Entry:
    return Entry(
        account_id=WALLET,
        entry_id=entry_id_of(key),
        seq=1,
        prev_hash=GENESIS_HASH,
        kind=EntryKind.GRANT,
        delta_micros=micros,
        balance_micros=micros,
        lots=(),
        legs=(),
        hold_id=None,
        request_hash="",
        facts=(("payment", payment),),
        at_ms=NOW,
    )


@pytest.mark.parametrize("rail", list(RailName))
def test_what_an_order_explains_agrees_and_anything_else_does_not(rail: RailName) -> None:
    order = payment_rules.new_order(
        payment_rules.order_id_of(UserId("ada"), "k"), UserId("ada"), rail, PACK, "USD", at_ms=NOW
    )
    taken = Reversal(
        kind=ReversalKind.REFUND,
        state=ReversalState.RETURNED,
        credits_micros=30,
        bonus_micros=3,
        amount_minor=1,
        was_taken=True,
    )
    paid = replace(order, state=OrderState.GRANTED, payment_id=PAYMENT, paid_at_ms=NOW, reversals={"re_1": taken})
    name = payment_name(rail, PAYMENT)
    explained = [
        posted(name, name, paid.credits_micros),
        posted(f"{rail.value}:re_1:taken", name, -33),
        posted(f"{rail.value}:re_1:returned", name, 30),
    ]
    others = [
        posted(name, name, paid.credits_micros + 1),
        posted(f"{rail.value}:re_1:taken", name, -30),
        posted(f"{rail.value}:re_2:taken", name, -33),
        posted(name, "stripe:other", paid.credits_micros),
        posted("x", name, paid.credits_micros),
    ]

    assert [of_entry(entry, paid, rail, "2027-01-15") for entry in explained] == [None, None, None]
    assert all(of_entry(entry, paid, rail, "2027-01-15") for entry in others)
    assert all(of_entry(entry, order, rail, "2027-01-15") for entry in explained)
    assert all(of_entry(entry, None, rail, "2027-01-15") for entry in explained)
