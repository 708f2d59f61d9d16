"""Where sessions are found that must end: those of a pool, and those whose time is over."""

from typing import Protocol

from google.cloud.firestore_v1.base_query import FieldFilter

from shared.base.ids import UserId
from shared.cards.models import Card, CardId, CardStatus
from shared.cards.store import CardStore, FirestoreCards
from shared.pools.models import PoolId

_BEGUN = (CardStatus.OPENING.value, CardStatus.OPEN.value)


class SessionStore(CardStore, Protocol):
    """What sessions ask of a store beside what cards do. Both raise CardsUnavailable."""

    async def unended(self, pool_id: PoolId, owner: UserId | None, *, after: CardId | None) -> list[Card]:
        """At most PAGE_CARDS_MAX of a pool's sessions whose rest is not back, all or one member's; ordered by their
        ids, beginning behind `after`.
        """

    async def overdue(self, at_ms: int) -> list[Card]:
        """At most PAGE_CARDS_MAX sessions, anybody's, whose time was over by then and that nobody has ended."""


class FirestoreSessions(FirestoreCards):
    """The same in Firestore."""

    async def unended(self, pool_id: PoolId, owner: UserId | None, *, after: CardId | None) -> list[Card]:
        query = self.viewed().where(filter=FieldFilter("pool", "==", pool_id))
        query = query.where(filter=FieldFilter("status", "in", (*_BEGUN, CardStatus.CLOSING.value)))
        if owner is not None:
            query = query.where(filter=FieldFilter("owner", "==", owner))
        return await self.page_behind(query, after)

    async def overdue(self, at_ms: int) -> list[Card]:
        query = self.viewed().where(filter=FieldFilter("status", "in", _BEGUN))
        return await self.page(query.where(filter=FieldFilter("expires_at_ms", "<=", at_ms)).order_by("expires_at_ms"))
