"""Where sessions get their budgets: a pool, or the wallet of whoever opens them."""

import secrets
from contextlib import suppress

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.base.log import write_line
from shared.base.periods import Period
from shared.cards.models import Card
from shared.cards.purse import Wallets
from shared.ledger import shares
from shared.ledger.errors import CreditTooLow, NothingToMove
from shared.ledger.funds import Funds
from shared.ledger.models import SpendLimit
from shared.ledger.operation import Posted
from shared.ledger.pool_errors import StakeAbsent
from shared.ledger.pools import PoolLedger
from shared.ledger.service import Facts
from shared.pools.models import account_of

NOTHING_MORE = SpendLimit(0, Period.TOTAL)


class SessionPurse:
    """Funds sessions, and gives back what they leave."""

    def __init__(self, wallets: Wallets, pools: PoolLedger, funds: Funds, clock: Clock) -> None:
        self._wallets = wallets
        self._pools = pools
        self._funds = funds
        self._clock = clock

    async def check(self, card: Card, amount_micros: int) -> None:
        if (pool_id := _pool_of(card)) is None:
            return await self._wallets.check(card, amount_micros)
        book = await self._pools.book(pool_id)
        if (drawable := shares.drawable_micros(book, card.owner, self._clock())) < amount_micros:
            raise CreditTooLow(needed_micros=amount_micros, spendable_micros=drawable)
        return None

    async def fund(self, card: Card, amount_micros: int) -> Card:
        if (pool_id := _pool_of(card)) is None or (session := card.session) is None:
            return await self._wallets.fund(card, amount_micros)
        # The card is written by now: who freezes its owner's wallet after this look finds the card and freezes it too.
        await self._wallets.check_open(card)
        facts = {"reason": "session opened", "card": card.card_id, "member": card.owner}
        drawn = await self._pools.draw(pool_id, card.account_id, card.owner, amount_micros, facts=facts)
        # A repeat is answered with the same entry, so it names the same people.
        givers = {user_id for user_id, *_ in shares.rows_from(dict(drawn.entry.facts))}
        return replace(card, session=replace(session, lenders=tuple(sorted(givers - {card.owner}))))

    async def withdraw(self, card: Card, facts: Facts) -> int:
        """What was drawn from a pool comes back at once and whole, so that it is known whose the used part was."""
        return 0 if _pool_of(card) else await self._wallets.withdraw(card, facts)

    async def close(self, card: Card, facts: Facts) -> Posted:
        # First, so that a key that is still remembered somewhere begins no call while others are waited for.
        await self._funds.limit(card.account_id, NOTHING_MORE)
        if (pool_id := _pool_of(card)) is None:
            return await self._wallets.close(card, facts)
        closed = await self._pools.give_back(pool_id, card.account_id, card.owner, facts=facts)
        # If we die here, whoever closes the card again comes this way again.
        await self.send_home(pool_id)
        return closed

    async def send_home(self, pool_id: AccountId) -> None:
        """Give those who left what came back to them since. Whose wallet takes nothing keeps it in the pool."""
        book = await self._pools.book(pool_id)
        at_ms = self._clock()
        for stake in book.stakes:
            if stake.seated or not shares.own_micros(stake, at_ms):
                continue
            facts = {"reason": "pool share returned"}
            with suppress(NothingToMove, StakeAbsent):
                try:
                    await self._pools.leave(pool_id, stake.user_id, key=secrets.token_hex(16), facts=facts)
                except CredenceError as error:
                    write_line("WARNING", "pool_share_not_returned", account=pool_id, code=error.code)


def _pool_of(card: Card) -> AccountId | None:
    pool = card.session.pool if card.session else None
    return account_of(pool) if pool is not None else None
