"""The ledger's verbs for pools: whose credits are put in, taken out, drawn for a card and given back."""

from shared.base.clock import Clock
from shared.base.ids import AccountId, EntryId, UserId, entry_id_of
from shared.ledger.engine import Engine
from shared.ledger.errors import AccountAbsent, EntryAbsent
from shared.ledger.models import HOUSE_BREAKAGE, Book, Entry, Origin, SpendLimit, Stake
from shared.ledger.operation import Posted, facts_of
from shared.ledger.pool_errors import PoolFull, StakeAbsent
from shared.ledger.pooling import Contribute, Draw, GiveBack, Leave, TakeOut
from shared.ledger.postings import OpenAccount
from shared.ledger.seats import EndPool, Seat, SetLending, book_of
from shared.ledger.service import SEND_LIMITS, Facts, Ledger
from shared.ledger.standing import Close


class PoolLedger:
    """Pools as accounts. Amounts are micros; every verb may be repeated."""

    def __init__(self, engine: Engine, ledger: Ledger, clock: Clock) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock

    async def open(self, pool_id: AccountId) -> Posted:
        """Open a pool that nobody is a member of."""
        return await self._engine.run(OpenAccount(account_id=pool_id, book=Book(), at_ms=self._clock()))

    async def book(self, pool_id: AccountId) -> Book:
        """The pool's book as it stands now. Raise AccountAbsent."""
        return book_of(await self._ledger.head(pool_id))

    async def seat(self, pool_id: AccountId, user_id: UserId, limit: SpendLimit | None, *, members_max: int) -> Stake:
        """Make somebody a member; one who is keeps their limit. Raise PoolFull, PoolEnding or AccountAbsent."""
        seated = await self._engine.run(Seat(pool_id, user_id, limit, members_max, self._clock()))
        return seated.stake

    async def relimit(self, pool_id: AccountId, user_id: UserId, limit: SpendLimit | None) -> Stake:
        """Change a member's limit from now on. Raise StakeAbsent, PoolEnding or AccountAbsent."""
        seat = Seat(pool_id, user_id, limit, members_max=0, at_ms=self._clock(), relimit=True)
        try:
            return (await self._engine.run(seat)).stake
        except PoolFull:
            # Where there is room for nobody new, only who is no member is refused.
            raise StakeAbsent from None

    async def lend(self, pool_id: AccountId, user_id: UserId, lends: bool) -> Stake:
        """Let the others draw a member's paid credits from now on, or not. Raise StakeAbsent or AccountAbsent."""
        return (await self._engine.run(SetLending(pool_id, user_id, lends, self._clock()))).stake

    async def contribute(
        self, pool_id: AccountId, user_id: UserId, amount_micros: int, *, origin: Origin | None, key: str, facts: Facts
    ) -> Posted:
        """Put credits of the member's wallet in. Raise StakeAbsent, CreditTooLow, SendLimitExceeded or KeyReused."""
        posting = Contribute(
            account_id=wallet_of(user_id),
            payee_id=pool_id,
            user_id=user_id,
            amount_micros=amount_micros,
            origin=origin,
            limits=SEND_LIMITS,
            key=f"contribute:{pool_id}:{len(user_id)}:{user_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(posting)

    async def take_out(
        self, pool_id: AccountId, user_id: UserId, amount_micros: int, *, key: str, facts: Facts
    ) -> Posted:
        """Move some of what is the person's own into their wallet. Raise StakeAbsent, CreditTooLow or KeyReused."""
        posting = TakeOut(
            account_id=pool_id,
            payee_id=wallet_of(user_id),
            user_id=user_id,
            amount_micros=amount_micros,
            key=f"take_out:{pool_id}:{len(user_id)}:{user_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(posting)

    async def leave(self, pool_id: AccountId, user_id: UserId, *, key: str, facts: Facts) -> int:
        """Take the person's seat and give back all that is theirs; how much that was. Raise NothingToMove.

        The key is another one for each try: what an earlier one moved is not there to move again.
        """
        posting = Leave(
            account_id=pool_id,
            payee_id=wallet_of(user_id),
            user_id=user_id,
            key=f"leave:{pool_id}:{len(user_id)}:{user_id}:{key}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        posted = await self._engine.run(posting)
        return -posted.entry.delta_micros if posted else 0

    async def draw(
        self, pool_id: AccountId, card_id: AccountId, user_id: UserId, amount_micros: int, *, facts: Facts
    ) -> Posted:
        """Move credits onto a member's card, once. Raise StakeAbsent, CreditTooLow or SpendLimitReached."""
        posting = Draw(
            account_id=pool_id,
            payee_id=card_id,
            user_id=user_id,
            amount_micros=amount_micros,
            key=_draw_key(card_id),
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(posting)

    async def give_back(self, pool_id: AccountId, card_id: AccountId, user_id: UserId, *, facts: Facts) -> Posted:
        """Close the card for good, each member getting back what is left of theirs.

        Raise HoldsOpen while its calls go on, AccountInDebt, AccountNotOpen, or AccountAbsent.
        """
        posting = GiveBack(
            account_id=card_id,
            rest_to=pool_id,
            user_id=user_id,
            drawn=await self._drawn(pool_id, card_id),
            key=f"close:{card_id}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(posting)

    async def end(self, pool_id: AccountId) -> Book:
        """Take everybody's seat for good. Raise AccountAbsent."""
        return (await self._engine.run(EndPool(pool_id))).book

    async def close(self, pool_id: AccountId, *, facts: Facts) -> Posted:
        """Close the account of a pool that ended and is empty. Raise PoolInUse."""
        posting = Close(
            account_id=pool_id,
            rest_to=HOUSE_BREAKAGE,
            key=f"close:{pool_id}",
            facts=facts_of(facts),
            at_ms=self._clock(),
        )
        return await self._engine.run(posting)

    async def _drawn(self, pool_id: AccountId, card_id: AccountId) -> Entry | None:
        try:
            return await self._ledger.entry(pool_id, draw_entry_id(card_id))
        except (EntryAbsent, AccountAbsent):
            return None


def wallet_of(user_id: UserId) -> AccountId:
    """The wallet of a person."""
    return AccountId(f"user:{user_id}")


def draw_entry_id(card_id: AccountId) -> EntryId:
    """The id of the entries, on both sides, by which a card drew from its pool."""
    return entry_id_of(_draw_key(card_id))


def _draw_key(card_id: AccountId) -> str:
    return f"draw:{card_id}"
