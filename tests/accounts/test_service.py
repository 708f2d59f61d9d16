"""Starting an account: once, whole, and one bonus per person."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from shared.accounts.models import Stage, StageStatus
from shared.accounts.service import Accounts
from shared.base.economy import WELCOME_LIFETIME_MS, WELCOME_STAGES
from shared.base.ids import AccountId, UserId
from shared.base.secret import Secret
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import HOUSE_REVENUE, Entry, Origin, Share
from shared.ledger.service import Ledger
from shared.ledger.verify import entry_of
from shared.risk.errors import RiskUnavailable
from shared.risk.models import ClientClaim, Signal, SignalKind, Subject
from shared.risk.service import Risk
from tests.ledger.builders import NOW, FaultyStore, Ticker, entries_of, ledger_on
from tests.risk.memory import MemoryRisk

ADA, BEN = UserId("ada"), UserId("ben")
EMAIL = "ada@example.com"
FIRST, SECOND, LAST = WELCOME_STAGES
WALLET = AccountId("user:ada")
PHONE = "+4915112345678"
DEVICE = ClientClaim(device="a-phone-of-adas")


class MemoryUses:
    """The newest entries of a ledger in memory."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self._store = store
        self.looks = 0

    async def newest(self, account_id: AccountId) -> Sequence[Entry]:
        self.looks += 1
        mine = [(ref, document) for ref, document in self._store.entries.items() if ref[0] == account_id]
        return [entry_of(*ref, document) for ref, document in mine]


class Desk:
    """Accounts over a ledger and claims in memory."""

    def __init__(self) -> None:
        self.store = MemoryLedgerStore()
        self.faulty = FaultyStore(self.store)
        self.clock = Ticker()
        self.ledger: Ledger = ledger_on(self.faulty, self.clock)
        self.risk_store = MemoryRisk()
        self.risk = Risk(self.risk_store, Secret("of a test"), self.clock, address_from_end=1)
        self.uses = MemoryUses(self.store)
        self.accounts = Accounts(self.ledger, self.risk, self.uses)

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

    class LedgerDiesAfterClaim(MemoryRisk):
        async def claim(self, signals: Sequence[Signal], user_id: UserId) -> Mapping[SignalKind, UserId]:
            desk.faulty.commit_script.extend(["lost"] * 1_000)
            desk.faulty.read_script.extend(["lost"] * 1_000)
            return await super().claim(signals, user_id)

    dying = LedgerDiesAfterClaim()
    risk = Risk(dying, Secret("of a test"), desk.clock, address_from_end=1)
    with pytest.raises(LedgerUnavailable):
        await Accounts(desk.ledger, risk, desk.uses).start(ADA, EMAIL)
    desk.faulty.commit_script.clear()
    desk.faulty.read_script.clear()
    desk.risk_store.holders.update(dying.holders)

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


def statuses(welcome: Sequence[Stage]) -> list[tuple[str, str | None]]:
    return [(stage.status.value, stage.reason) for stage in welcome]


async def test_a_verified_phone_earns_the_second_stage(desk: Desk) -> None:
    """Once, beside the first or after it."""
    await desk.accounts.start(ADA, EMAIL)

    for _ in range(2):
        started = await desk.accounts.start(ADA, EMAIL, PHONE)

    assert statuses(started.welcome) == [("granted", None), ("granted", None), ("waiting", None)]
    assert started.balance_micros == FIRST.amount_micros + SECOND.amount_micros
    assert desk.kinds() == ["open", "grant", "grant"]


async def test_one_phone_is_one_person_whatever_the_addresses(desk: Desk) -> None:
    """The second account gets nothing at all, is told why, and so is whoever asks on its behalf."""
    await desk.accounts.start(ADA, EMAIL, PHONE)

    second = await desk.accounts.start(BEN, "ben@example.com", PHONE)

    assert statuses(second.welcome) == [("claimed", "phone_claimed")] * 3
    assert second.balance_micros == 0
    record = (await desk.risk_store.record(Subject("user:ben"))).record
    assert record is not None
    assert [(one.rule, one.outcome) for one in record.decisions] == [("phone_claimed", "no welcome bonus")]


async def test_a_device_that_had_its_bonus_gives_no_other(desk: Desk) -> None:
    await desk.accounts.start(ADA, EMAIL, None, DEVICE)

    second = await desk.accounts.start(BEN, "ben@example.com", None, DEVICE)

    assert statuses(second.welcome)[0] == ("claimed", "device_claimed")
    assert second.balance_micros == 0


async def test_a_device_alone_earns_nothing_and_takes_nothing_from_others(desk: Desk) -> None:
    """Anybody can send any name."""
    thief = await desk.accounts.start(BEN, None, None, DEVICE)

    assert statuses(thief.welcome)[0] == ("waiting", None)
    assert (await desk.accounts.start(ADA, EMAIL, None, DEVICE)).balance_micros == FIRST.amount_micros


async def test_a_card_that_others_paid_with_first_earns_no_further_stage(desk: Desk) -> None:
    await desk.risk.doubt_of_card(ADA, "fp_1", "stripe:pi_1")
    await desk.accounts.start(BEN, "ben@example.com")
    await desk.risk.doubt_of_card(BEN, "fp_1", "stripe:pi_2")

    started = await desk.accounts.start(BEN, "ben@example.com", PHONE)

    assert statuses(started.welcome)[:2] == [("granted", None), ("claimed", "card_claimed")]
    assert started.balance_micros == FIRST.amount_micros


async def test_of_many_sign_ups_at_once_with_one_phone_one_is_paid(desk: Desk) -> None:
    users = [UserId(f"user{number}") for number in range(10)]

    started = await asyncio.gather(*(desk.accounts.start(user, f"{user}@example.com", PHONE) for user in users))

    paid = [one.balance_micros for one in started if one.balance_micros]
    assert paid == [FIRST.amount_micros + SECOND.amount_micros]


async def test_no_bonus_leaves_while_it_cannot_be_told_whose_it_is(desk: Desk) -> None:
    """Fail closed: a start that is repeated later pays it."""
    desk.risk_store.is_down = True
    with pytest.raises(RiskUnavailable):
        await desk.accounts.start(ADA, EMAIL)
    desk.risk_store.is_down = False

    assert "grant" not in desk.kinds()
    assert (await desk.accounts.start(ADA, EMAIL)).balance_micros == FIRST.amount_micros


async def use(desk: Desk, amount_micros: int, key: str) -> None:
    await desk.ledger.debit(WALLET, amount_micros, key=key, facts={}, shares=(Share(HOUSE_REVENUE, 1),))


async def test_the_first_use_of_bought_credits_earns_the_last_stage(desk: Desk) -> None:
    """Once. Neither what gifts paid for earns it, nor what was bought and only sent on."""
    await desk.accounts.start(ADA, EMAIL)
    await desk.ledger.open(AccountId("user:ben"))
    await use(desk, FIRST.amount_micros, "gifts")
    await desk.ledger.grant_paid(WALLET, 100, key="bought", facts={})
    await desk.ledger.transfer(WALLET, AccountId("user:ben"), 50, key="sent", facts={})
    assert statuses((await desk.accounts.start(ADA, EMAIL)).welcome)[2] == ("waiting", None)

    await use(desk, 1, "used")

    for _ in range(2):
        started = await desk.accounts.start(ADA, EMAIL)
        assert statuses(started.welcome) == [("granted", None), ("waiting", None), ("granted", None)]
        assert started.balance_micros == 49 + LAST.amount_micros


async def test_entries_are_read_only_where_a_paid_use_may_show(desk: Desk) -> None:
    """Most who used anything used gifts, and have some left: their start is no page of entries dearer."""
    await desk.accounts.start(ADA, EMAIL)
    await use(desk, 1, "gift")
    await desk.accounts.start(ADA, EMAIL)
    assert desk.uses.looks == 0

    await desk.ledger.grant_paid(WALLET, 100, key="bought", facts={})
    await desk.accounts.start(ADA, EMAIL)
    assert desk.uses.looks == 1


async def test_use_earns_nothing_without_a_proof_or_for_somebody_known(desk: Desk) -> None:
    """Else one card behind many made-up accounts would have the largest stage on each."""
    await desk.accounts.start(BEN, "ben@example.com", None, DEVICE)
    await desk.ledger.open(WALLET)
    await desk.ledger.grant_paid(WALLET, 100, key="bought", facts={})
    await use(desk, 1, "used")

    unproved = await desk.accounts.start(ADA, None)
    known = await desk.accounts.start(ADA, EMAIL, None, DEVICE)

    assert statuses(unproved.welcome)[2] == ("waiting", None)
    assert statuses(known.welcome)[2] == ("claimed", "device_claimed")
    assert known.balance_micros == 99
