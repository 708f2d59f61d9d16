"""An operator's freeze: nothing leaves what it is about, whoever asks or dies, and only what it froze is let go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.base.errors import CredenceError
from shared.base.ids import AccountId, UserId
from shared.cards.models import Card, CardId, CardStatus, Changes, Terms
from shared.cards.service import Cards
from shared.freezing.errors import FreezeUnfinished, FrozenWithWallet
from shared.freezing.rules import FREEZE
from shared.freezing.service import WALK_MS_MAX, Freezing
from shared.ledger.administration import Administration
from shared.ledger.errors import AccountAbsent, AccountNotFrozen, AccountNotOpen, KeyReused
from shared.ledger.funds import Funds
from shared.ledger.models import Status
from shared.ledger.pools import wallet_of
from shared.ledger.service import Ledger
from shared.risk.decisions import Decisions
from shared.risk.models import Subject
from tests.cards.builders import Fate, FatedLedger, MemoryCards
from tests.ledger.builders import engine_on
from tests.pools.builders import ADA, BEN, Club, order
from tests.risk.memory import MemoryRisk

WALLET = wallet_of(ADA)


class Scene:
    """Ada with a wallet, a card, a session of her own and one of her pool; and operators in as many processes."""

    def __init__(self) -> None:
        self.club = Club()
        self.records = MemoryCards()
        self.risk = MemoryRisk()
        self.cards = self._cards()
        self.freezing = self.process()

    async def begin(self) -> "Scene":
        self.pool = await self.club.begin()
        await self.club.put_in(ADA, self.pool, 100)
        self.card = (await self.cards.create(ADA, Terms("a card"), 100, key="card")).card
        sessions = self.club.first.sessions
        self.own = (await sessions.create(ADA, order(None, 50), key="own")).card
        self.drawn = (await sessions.create(ADA, order(self.pool, 50), key="drawn")).card
        return self

    def process(self, fate: Fate | None = None) -> Freezing:
        store = FatedLedger(self.club.memory, fate) if fate else self.club.memory
        engine = engine_on(store)
        return Freezing(
            Ledger(engine, store, self.club.clock),
            store,
            Administration(engine, store, self.club.clock),
            Decisions(self.risk),
            self.records,
            self.club.records,
            self.club.pool_store,
            self.club.clock,
        )

    def _cards(self) -> Cards:
        engine = engine_on(self.club.memory)
        funds = Funds(engine, self.club.clock)
        return Cards(Ledger(engine, self.club.memory, self.club.clock), funds, self.records, self.club.clock)

    async def status(self, *account_ids: AccountId) -> list[str]:
        return [(await self.club.head(account_id)).status.value for account_id in account_ids or self.accounts]

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        return (WALLET, self.card.account_id, self.own.account_id, self.drawn.account_id)

    async def freeze(self, account_id: AccountId = WALLET, *, key: str = "one") -> None:
        await self.freezing.freeze(account_id, key=key, reason="stolen card", by="olga")

    async def unfreeze(self, account_id: AccountId = WALLET, *, key: str = "two") -> None:
        await self.freezing.unfreeze(account_id, key=key, reason="it was hers", by="olga")


@pytest.fixture
async def scene() -> Scene:
    return await Scene().begin()


async def test_a_wallet_is_frozen_with_all_its_cards_and_sessions_and_let_go_with_them(scene: Scene) -> None:
    await scene.freeze()
    assert await scene.status() == ["frozen"] * 4
    await scene.unfreeze()
    assert await scene.status() == ["open"] * 4

    assert await scene.status(scene.pool.account_id, wallet_of(BEN)) == ["open", "open"]
    decisions = scene.risk.records[Subject(f"account:{WALLET}")].record
    assert decisions is not None
    assert decisions.owner == ADA
    assert [(one.outcome, one.by) for one in decisions.decisions] == [("stolen card", "olga"), ("it was hers", "olga")]
    await scene.club.check()


async def _send(scene: Scene) -> object:
    return await scene.club.first.ledger.send(ADA, BEN, 1, key="x", repeat_confirmed=False)


async def _top_up_card(scene: Scene) -> object:
    return await scene.cards.fund(ADA, scene.card.card_id, 1, key="x")


async def _new_card(scene: Scene) -> object:
    return await scene.cards.create(ADA, Terms("another"), 1, key="x")


async def _new_session(scene: Scene) -> object:
    return await scene.club.first.sessions.create(ADA, order(None, 1), key="x")


async def _draw(scene: Scene) -> object:
    return await scene.club.first.sessions.create(ADA, order(scene.pool, 1), key="x")


async def _contribute(scene: Scene) -> object:
    return await scene.club.first.pools.contribute(ADA, scene.pool.pool_id, 1, origin=None, key="x")


async def _close_card(scene: Scene) -> object:
    return await scene.cards.close(ADA, scene.card.card_id)


async def _end_session(scene: Scene) -> object:
    return await scene.club.first.sessions.end(ADA, scene.own.card_id)


async def _end_drawn(scene: Scene) -> object:
    return await scene.club.first.sessions.end(ADA, scene.drawn.card_id)


async def _charge(scene: Scene) -> object:
    return await scene.club.first.ledger.check_spendable(scene.drawn.account_id, 1)


WAYS = (
    _send,
    _top_up_card,
    _new_card,
    _new_session,
    _draw,
    _contribute,
    _close_card,
    _end_session,
    _end_drawn,
    _charge,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_its_owner_moves_nothing_out_of_what_is_frozen(
    scene: Scene, way: Callable[[Scene], Awaitable[object]]
) -> None:
    await scene.freeze()
    before = [(await scene.club.head(account_id)).balance_micros for account_id in scene.accounts]

    with pytest.raises(AccountNotOpen):
        await way(scene)

    assert [(await scene.club.head(account_id)).balance_micros for account_id in scene.accounts] == before
    assert await scene.status() == ["frozen"] * 4


async def test_its_owner_can_neither_take_out_nor_draw_from_a_frozen_pool(scene: Scene) -> None:
    await scene.freeze(scene.pool.account_id)
    pools, pool = scene.club.first.pools, scene.pool.pool_id

    for person in (ADA, BEN):
        with pytest.raises(AccountNotOpen):
            await scene.club.first.sessions.create(person, order(scene.pool, 1), key="y")
    with pytest.raises(AccountNotOpen):
        await pools.withdraw(ADA, pool, 1, key="x")
    await scene.unfreeze(scene.pool.account_id)
    await pools.withdraw(ADA, pool, 1, key="x")


async def test_owners_and_operators_lift_only_their_own_freeze(scene: Scene) -> None:
    """The owner's switch is on the card's record, the operator's on its account."""
    await scene.freeze()
    for frozen in (True, False, True):
        await scene.cards.change(ADA, scene.card.card_id, Changes(frozen=frozen))
    assert await scene.status(scene.card.account_id) == ["frozen"]

    await scene.unfreeze()

    assert await scene.status(scene.card.account_id) == ["open"]
    assert (await scene.cards.get(ADA, scene.card.card_id)).card.status is CardStatus.FROZEN


async def test_a_card_that_is_frozen_for_itself_stays_so_when_its_wallet_is_let_go(scene: Scene) -> None:
    card = scene.card.account_id
    await scene.freeze(card)
    assert await scene.status() == ["open", "frozen", "open", "open"]
    await scene.freeze()
    await scene.unfreeze()
    assert await scene.status() == ["open", "frozen", "open", "open"]

    await scene.freeze(key="three")
    await scene.unfreeze(card)
    assert await scene.status() == ["frozen"] * 4
    with pytest.raises(FrozenWithWallet):
        await scene.unfreeze(card, key="three")
    await scene.unfreeze(key="four")
    assert await scene.status() == ["open"] * 4


async def test_a_repeat_is_the_same_and_says_nothing_new(scene: Scene) -> None:
    first = await scene.freezing.freeze(WALLET, key="one", reason="stolen card", by="olga")
    scene.club.clock.now_ms += 1_000
    seq = (await scene.club.head(WALLET)).seq

    assert await scene.freezing.freeze(WALLET, key="one", reason="stolen card", by="otto") == first

    assert (await scene.club.head(WALLET)).seq == seq
    for change in (scene.freezing.unfreeze, scene.freezing.freeze):
        with pytest.raises(KeyReused):
            await change(WALLET, key="one", reason="another", by="olga")
    with pytest.raises(KeyReused):
        await scene.freezing.unfreeze(WALLET, key="one", reason="stolen card", by="olga")


async def test_a_late_repeat_of_a_freeze_does_not_undo_what_was_decided_since(scene: Scene) -> None:
    await scene.freeze()
    await scene.unfreeze()
    await scene.freeze()

    assert await scene.status() == ["open"] * 4


async def test_of_operators_at_once_the_later_decision_holds_everywhere(scene: Scene) -> None:
    await scene.freeze(key="before")
    others = [scene.process() for _ in range(6)]
    verbs = [other.unfreeze if number % 2 else other.freeze for number, other in enumerate(others)]

    changes = (verb(WALLET, key=str(number), reason="why", by="olga") for number, verb in enumerate(verbs))
    await asyncio.gather(*changes, return_exceptions=True)

    record = scene.risk.records[Subject(f"account:{WALLET}")].record
    assert record is not None
    wanted = "frozen" if record.decisions[-1].rule == FREEZE else "open"
    assert await scene.status() == [wanted] * 4


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", ["freeze", "unfreeze"])
async def test_wherever_a_process_dies_a_repeat_finishes(verb: str, after: bool) -> None:
    """At each call of the ledger's store, before it does anything or after it did all."""
    for dies_at in range(1, 100):
        scene = await Scene().begin()
        if verb == "unfreeze":
            await scene.freeze(key="before")
        fate = Fate(dies_at, after=after)
        await fate.meet(getattr(scene.process(fate), verb)(WALLET, key="it", reason="why", by="olga"))

        done = await getattr(scene.process(), verb)(WALLET, key="it", reason="why", by="olga")

        wanted = Status.FROZEN if verb == "freeze" else Status.OPEN
        assert done.status is wanted
        assert await scene.status() == [wanted.value] * 4
        if not fate.dead.is_set():
            break
    else:
        pytest.fail("it never finished")
    await scene.club.check()


async def test_a_session_that_was_begun_before_the_freeze_and_funded_after_it_spends_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process stopped right after the look at the wallet."""
    draw = scene.club.first.pool_ledger.draw

    async def draw_late(*args: Any, **named: Any) -> object:
        await scene.freeze()
        return await draw(*args, **named)

    monkeypatch.setattr(scene.club.first.pool_ledger, "draw", draw_late)
    late: Card = (await scene.club.first.sessions.create(ADA, order(scene.pool, 10), key="late")).card

    head = await scene.club.head(late.account_id)
    assert (head.balance_micros, head.status) == (10, Status.FROZEN)


async def test_more_cards_than_one_request_can_do_are_for_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.freezing.service.PAGE_CARDS_MAX", 1)
    scene.records.page_cards_max = 1
    second = (await scene.cards.create(ADA, Terms("second"), 0, key="second")).card
    found = scene.records.owned_by

    async def slow(owner: UserId, *, after: CardId | None) -> list[Card]:
        scene.club.clock.now_ms += WALK_MS_MAX if after else 0
        return await found(owner, after=after)

    monkeypatch.setattr(scene.records, "owned_by", slow)
    with pytest.raises(FreezeUnfinished):
        await scene.freeze()
    monkeypatch.setattr(scene.records, "owned_by", found)
    await scene.freeze()

    assert await scene.status(*scene.accounts, second.account_id) == ["frozen"] * 5


@pytest.mark.parametrize(
    ("account", "verb", "error"),
    [
        ("user:nobody", "freeze", AccountAbsent),
        ("card:nobody", "freeze", AccountAbsent),
        ("pool:nobody", "freeze", AccountAbsent),
        ("earn:ada", "freeze", AccountAbsent),
        ("user:ada", "unfreeze", AccountNotFrozen),
    ],
)
async def test_what_cannot_be_is_refused_and_not_noted(
    scene: Scene, account: str, verb: str, error: type[CredenceError]
) -> None:
    with pytest.raises(error):
        await getattr(scene.freezing, verb)(AccountId(account), key="k", reason="why", by="olga")

    assert scene.risk.records == {}
