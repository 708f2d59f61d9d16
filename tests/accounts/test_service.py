"""Starting an account: once, whole, and one bonus per person."""

import asyncio

import pytest

from shared.accounts.models import StageStatus
from shared.accounts.service import Accounts
from shared.base.economy import WELCOME_LIFETIME_MS, WELCOME_STAGES
from shared.base.ids import AccountId, UserId
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Origin
from shared.ledger.service import Ledger
from tests.accounts.claims import MemoryClaims
from tests.ledger.builders import NOW, FaultyStore, Ticker, entries_of, ledger_on

ADA, BEN = UserId("ada"), UserId("ben")
EMAIL = "ada@example.com"
FIRST = WELCOME_STAGES[0]


class Desk:
    """Accounts over a ledger and claims in memory."""

    def __init__(self) -> None:
        self.store = MemoryLedgerStore()
        self.faulty = FaultyStore(self.store)
        self.clock = Ticker()
        self.ledger: Ledger = ledger_on(self.faulty, self.clock)
        self.claims = MemoryClaims()
        self.accounts = Accounts(self.ledger, self.claims)

    def kinds(self, user: UserId = ADA) -> list[str]:
        return [entry["kind"] for entry in entries_of(self.store, AccountId(f"user:{user}"))]


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_first_start_opens_the_wallet_and_grants_the_first_stage(desk: Desk) -> None:
    """Promotional credits that expire; the later stages wait."""
    started = await desk.accounts.start(ADA, EMAIL)

    (lot,) = (await desk.ledger.head(AccountId("user:ada"))).lots
    assert (started.account_id, started.created, started.balance_micros) == ("user:ada", True, FIRST.amount_micros)
    assert [stage.status for stage in started.welcome] == [StageStatus.GRANTED, *[StageStatus.WAITING] * 2]
    assert (lot.origin, lot.expires_at_ms) == (Origin.PROMO, NOW + WELCOME_LIFETIME_MS)


async def test_a_repeat_changes_nothing(desk: Desk) -> None:
    """However often, however much later, and several at once."""
    await asyncio.gather(*(desk.accounts.start(ADA, EMAIL) for _ in range(5)))
    desk.clock.now_ms += 10**9

    again = await desk.accounts.start(ADA, EMAIL)

    assert not again.created
    assert again.balance_micros == FIRST.amount_micros
    assert again.welcome[0].status is StageStatus.GRANTED
    assert desk.kinds() == ["open", "grant"]


async def test_without_a_verified_address_the_bonus_waits(desk: Desk) -> None:
    """And comes with the start that follows the verification."""
    waiting = await desk.accounts.start(ADA, None)
    granted = await desk.accounts.start(ADA, EMAIL)

    assert (waiting.created, waiting.balance_micros, waiting.welcome[0].status) == (True, 0, StageStatus.WAITING)
    assert (granted.created, granted.balance_micros) == (False, FIRST.amount_micros)


async def test_a_person_gets_one_bonus_on_however_many_accounts(desk: Desk) -> None:
    """The second account is opened, empty, and told why; the first keeps its claim."""
    await desk.accounts.start(ADA, EMAIL)

    second = await desk.accounts.start(BEN, "ADA+second@example.com")

    assert (second.balance_micros, second.welcome[0].status) == (0, StageStatus.CLAIMED)
    assert desk.kinds(BEN) == ["open"]
    assert (await desk.accounts.start(ADA, EMAIL)).welcome[0].status is StageStatus.GRANTED


async def test_a_changed_address_brings_no_second_bonus(desk: Desk) -> None:
    """The grant is once per account too."""
    await desk.accounts.start(ADA, EMAIL)

    again = await desk.accounts.start(ADA, "ada@elsewhere.example")

    assert again.balance_micros == FIRST.amount_micros
    assert desk.kinds() == ["open", "grant"]


async def test_a_start_that_died_after_its_claim_is_finished_by_the_next(desk: Desk) -> None:
    """By the same user's only: the claim stands although nothing was granted yet."""

    class LedgerDiesAfterClaim(MemoryClaims):
        async def claim(self, person: str, user_id: UserId) -> bool:
            desk.faulty.commit_script.extend(["lost"] * 1_000)
            desk.faulty.read_script.extend(["lost"] * 1_000)
            return await super().claim(person, user_id)

    dying = LedgerDiesAfterClaim()
    with pytest.raises(LedgerUnavailable):
        await Accounts(desk.ledger, dying).start(ADA, EMAIL)
    desk.faulty.commit_script.clear()
    desk.faulty.read_script.clear()
    desk.claims.holders.update(dying.holders)

    assert (await desk.accounts.start(BEN, EMAIL)).welcome[0].status is StageStatus.CLAIMED
    assert (await desk.accounts.start(ADA, EMAIL)).balance_micros == FIRST.amount_micros
    assert desk.kinds() == ["open", "grant"]


async def test_a_bonus_of_another_size_is_not_granted_again(desk: Desk) -> None:
    """The product may change its bonus; whoever had the old one can still start, and has had it."""
    await desk.ledger.open(AccountId("user:ada"))
    await desk.ledger.grant_promo(
        AccountId("user:ada"), 7, lifetime_ms=10**9, key=f"welcome:{FIRST.name}", facts={"reason": "an older bonus"}
    )

    started = await desk.accounts.start(ADA, EMAIL)

    assert (started.balance_micros, started.welcome[0].status) == (7, StageStatus.GRANTED)
