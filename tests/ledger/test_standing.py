"""What an account may do: frozen it receives and cannot spend, closed it is empty for good; the chain says so."""

import pytest

from shared.base.ids import AccountId, HoldId
from shared.ledger.administration import Administration
from shared.ledger.errors import (
    AccountInDebt,
    AccountNotFrozen,
    AccountNotOpen,
    ChainBroken,
    HoldAbsent,
    HoldsOpen,
    TransferToSelf,
)
from shared.ledger.holds import ExtendHold
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import HOUSE_BREAKAGE, HOUSE_REVENUE, Leg, Origin, Status
from shared.ledger.verify import verify_account
from tests.ledger.builders import (
    ADA,
    BEN,
    DAY,
    NOW,
    Ticker,
    balance,
    capture,
    debit,
    engine_on,
    grant,
    opened,
    place,
    release,
    transfer,
)
from tests.ledger.tampering import assert_whole

WHY = {"reason": "because"}


@pytest.fixture
def office(memory: MemoryLedgerStore) -> Administration:
    return Administration(engine_on(memory), memory, Ticker(NOW + 10))


async def test_a_frozen_account_receives_and_does_not_spend(memory: MemoryLedgerStore, office: Administration) -> None:
    """But what it held before is still captured: somebody has delivered for it."""
    await opened(memory, paid=100, accounts=(ADA, BEN))
    engine = engine_on(memory)
    await engine.run(place(30))
    await office.freeze(ADA, key="fraud", facts=WHY)

    for refused in (debit(1), place(1, "second"), transfer(1)):
        with pytest.raises(AccountNotOpen):
            await engine.run(refused)
    await engine.run(grant(5, "more"))
    await engine.run(transfer(7, "in", by=BEN, to=ADA))
    await engine.run(capture(30))
    assert await balance(memory) == 82
    await assert_whole(memory)


async def test_an_unfrozen_account_spends_again(memory: MemoryLedgerStore, office: Administration) -> None:
    await opened(memory, paid=100)
    await office.freeze(ADA, key="fraud", facts=WHY)
    await office.unfreeze(ADA, key="cleared", facts=WHY)

    await engine_on(memory).run(debit(10))

    assert (await office.freeze(ADA, key="fraud", facts=WHY)).repeated
    with pytest.raises(AccountNotFrozen):
        await office.unfreeze(ADA, key="again", facts=WHY)
    await assert_whole(memory)


@pytest.mark.parametrize("status", [Status.OPEN, Status.CLOSED])
async def test_a_status_that_no_entry_explains_is_found(
    memory: MemoryLedgerStore, office: Administration, status: Status
) -> None:
    """Unfreezing oneself by writing the head is as bad as writing a balance."""
    await opened(memory, paid=100)
    await office.freeze(ADA, key="fraud", facts=WHY)
    memory.heads[ADA]["status"] = status.value

    with pytest.raises(ChainBroken, match="status"):
        await verify_account(MemoryLedgerArchive(memory), ADA)


@pytest.mark.parametrize("rest_to", [BEN, HOUSE_REVENUE])
async def test_a_closed_account_leaves_its_rest_and_takes_nothing_more(
    memory: MemoryLedgerStore, office: Administration, rest_to: AccountId
) -> None:
    """In one commit: there is no moment at which the credits are on neither account."""
    await opened(memory, paid=100, accounts=(ADA, BEN))
    engine = engine_on(memory)
    await engine.run(grant(7, "gone", promo_until=NOW + 1))
    await engine.run(grant(20, "alive", promo_until=NOW + DAY))

    closed = (await office.close(ADA, rest_to=rest_to, key="bye", facts=WHY)).entry

    assert closed.balance_micros == 0
    assert set(closed.legs) == {
        Leg(HOUSE_BREAKAGE, Origin.PROMO, 7),
        Leg(rest_to, Origin.PROMO, 20),
        Leg(rest_to, Origin.PAID, 100),
    }
    assert await balance(memory, BEN) == (220 if rest_to == BEN else 100)
    for refused in (debit(1), grant(1, "late"), transfer(1, "late", by=BEN, to=ADA)):
        with pytest.raises(AccountNotOpen):
            await engine.run(refused)
    assert (await office.close(ADA, rest_to=rest_to, key="bye", facts=WHY)).repeated
    await assert_whole(memory)


async def test_two_accounts_close_into_one_under_one_key(memory: MemoryLedgerStore, office: Administration) -> None:
    """Both leave an entry on the wallet that gets their rest."""
    cards = [AccountId("card:one"), AccountId("card:other")]
    await opened(memory, paid=100, accounts=(ADA, *cards))

    for card in cards:
        await office.close(card, rest_to=ADA, key="lost phone", facts={})

    assert await balance(memory) == 300


async def test_an_empty_account_closes_without_touching_another(
    memory: MemoryLedgerStore, office: Administration
) -> None:
    await opened(memory, accounts=(ADA, BEN))

    assert (await office.close(ADA, rest_to=BEN, key="bye", facts=WHY)).entry.legs == ()
    await assert_whole(memory)


async def test_an_account_with_something_due_stays_open(memory: MemoryLedgerStore, office: Administration) -> None:
    """Calls in flight, debts, and a rest that would go nowhere."""
    await opened(memory, paid=100, accounts=(ADA, BEN))
    engine = engine_on(memory)
    await engine.run(place(5))
    with pytest.raises(HoldsOpen):
        await office.close(ADA, rest_to=BEN, key="bye", facts=WHY)
    await engine.run(release())
    with pytest.raises(TransferToSelf):
        await office.close(ADA, rest_to=ADA, key="self", facts=WHY)
    await office.claw_back(ADA, 150, key="dispute", facts=WHY)
    with pytest.raises(AccountInDebt, match=r"0\.00005"):
        await office.close(ADA, rest_to=BEN, key="bye", facts=WHY)


async def test_an_extended_hold_outlives_its_first_expiry(memory: MemoryLedgerStore) -> None:
    """For a call that goes on; a repeat changes nothing, and a hold never lives shorter."""
    await opened(memory, paid=100)
    engine = engine_on(memory)
    await engine.run(place(30, lifetime_ms=100))

    for expires_at_ms in (NOW + 500, NOW + 500, NOW + 50):
        extended = await engine.run(ExtendHold(ADA, HoldId("hold"), expires_at_ms, NOW + 10))
        assert (extended.hold.expires_at_ms, extended.spendable_micros) == (NOW + 500, 70)
    assert (await engine.run(capture(30, at_ms=NOW + 400))).entry.balance_micros == 70
    with pytest.raises(HoldAbsent):
        await engine.run(ExtendHold(ADA, HoldId("hold"), NOW + 900, NOW + 450))
