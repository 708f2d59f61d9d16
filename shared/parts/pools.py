"""Builds pools and sessions."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.ledger import LedgerParts

if TYPE_CHECKING:
    from shared.cards.service import Cards
    from shared.ledger.pools import PoolLedger
    from shared.pools.contexts import SessionContexts
    from shared.pools.invitations import Invitations
    from shared.pools.leaving import Partings
    from shared.pools.purse import SessionPurse
    from shared.pools.service import Pools
    from shared.pools.session_store import FirestoreSessions
    from shared.pools.sessions import Sessions
    from shared.pools.store import FirestorePools
    from shared.pools.sweep import SessionSweep


class PoolParts(LedgerParts):
    """Credits of several people, and the short cards that spend them."""

    @cached_property
    def pool_ledger(self) -> "PoolLedger":
        from shared.ledger.pools import PoolLedger

        return PoolLedger(self.ledger_engine, self.ledger, self.clock)

    @cached_property
    def pool_store(self) -> "FirestorePools":
        from shared.pools.store import FirestorePools

        return FirestorePools(self.firestore)

    @cached_property
    def session_store(self) -> "FirestoreSessions":
        from shared.cards.store import SESSION_VIEWS
        from shared.pools.session_store import FirestoreSessions

        return FirestoreSessions(self.firestore, views=SESSION_VIEWS)

    @cached_property
    def session_purse(self) -> "SessionPurse":
        from shared.cards.purse import Wallets
        from shared.pools.purse import SessionPurse

        return SessionPurse(Wallets(self.ledger, self.funds), self.pool_ledger, self.funds, self.clock)

    @cached_property
    def session_cards(self) -> "Cards":
        from shared.cards.service import Cards

        return Cards(self.ledger, self.funds, self.session_store, self.clock, purse=self.session_purse)

    @cached_property
    def sessions(self) -> "Sessions":
        from shared.pools.sessions import Sessions

        return Sessions(self.session_cards, self.session_store, self.pool_store, self.clock)

    @cached_property
    def session_contexts(self) -> "SessionContexts":
        from shared.pools.contexts import SessionContexts

        return SessionContexts(self.firestore)

    @cached_property
    def pools(self) -> "Pools":
        from shared.pools.service import Pools

        return Pools(self.ledger, self.pool_ledger, self.pool_store, self.clock)

    @cached_property
    def invitations(self) -> "Invitations":
        from shared.pools.invitations import Invitations

        return Invitations(self.pool_store, self.clock)

    @cached_property
    def partings(self) -> "Partings":
        from shared.pools.leaving import Partings

        return Partings(self.pool_ledger, self.pool_store, self.sessions, self.session_purse)

    @cached_property
    def session_sweep(self) -> "SessionSweep":
        from shared.cards.sweep import CardSweep
        from shared.pools.sweep import SessionSweep

        closings = CardSweep(self.session_cards, self.session_store)
        return SessionSweep(self.sessions, self.session_store, self.pool_store, self.partings, closings, self.clock)
