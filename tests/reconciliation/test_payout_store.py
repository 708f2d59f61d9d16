"""Reading payouts to earners in bulk, in memory and from what shared.payouts keeps in Firestore."""

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.ids import UserId
from shared.payouts.models import Payout, PayoutId, PayoutState
from shared.payouts.store import FirestorePayouts
from shared.reconciliation.transfers import IN_MAX, PAGE_PAYOUTS_MAX, EarnerPayouts, FirestoreEarnerPayouts
from tests.ledger.builders import DAY, NOW
from tests.reconciliation.memory import MemoryEarnerPayouts


class Kept:
    """Payouts as they are read, and a way to put some there."""

    def __init__(self, payouts: EarnerPayouts, written: FirestorePayouts | None) -> None:
        self.payouts = payouts
        self._written = written

    async def put(self, *payouts: Payout) -> None:
        for payout in payouts:
            if isinstance(self.payouts, MemoryEarnerPayouts):
                self.payouts.kept[payout.payout_id] = payout
            elif self._written is not None:
                await self._written.create(payout)


@pytest.fixture(params=["memory", pytest.param("firestore", marks=pytest.mark.stack)])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kept:
    if request.param == "memory":
        return Kept(MemoryEarnerPayouts(), None)
    stack: Stack = request.getfixturevalue("stack")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    client = firestore.AsyncClient(project=request.getfixturevalue("project_id"))
    return Kept(FirestoreEarnerPayouts(client), FirestorePayouts(client))


def payout(number: int, **fields: object) -> Payout:
    made = Payout(
        payout_id=PayoutId(f"p{number:04d}"),
        owner=UserId("creator"),
        micros=1,
        amount_minor=1,
        currency="USD",
        destination="acct_1",
        state=PayoutState.PAID,
        asked_at_ms=NOW,
        is_first=False,
        transfer_id=f"tr_{number}",
    )
    return replace(made, **fields)


async def test_payouts_are_found_by_name_and_by_transfer(kept: Kept) -> None:
    payouts = [payout(number) for number in range(IN_MAX + 2)]
    await kept.put(*payouts)

    named = await kept.payouts.named([PayoutId("p0001"), PayoutId("none")])
    sent = await kept.payouts.sent_by([f"tr_{number}" for number in range(IN_MAX + 2)] + ["tr_none"])

    assert named == {"p0001": payouts[1]}
    assert sent == {str(one.transfer_id): one for one in payouts}
    assert (await kept.payouts.named([]), await kept.payouts.sent_by([])) == ({}, {})


async def test_payouts_of_a_day_are_read_page_after_page(kept: Kept) -> None:
    """Many of one moment: a page goes on after the payout, and not after the moment."""
    of_day = [payout(number) for number in range(PAGE_PAYOUTS_MAX + 3)]
    await kept.put(*of_day, payout(7_000, asked_at_ms=NOW - 1), payout(8_000, asked_at_ms=NOW + DAY))

    first = await kept.payouts.asked_between(NOW, NOW + DAY, None)
    second = await kept.payouts.asked_between(NOW, NOW + DAY, first[-1])

    assert len(first) == PAGE_PAYOUTS_MAX
    assert [*first, *second] == of_day
