"""Pools and sessions over a ledger in memory, with stores that fail where a test says so."""

from collections.abc import Sequence

from msgspec.structs import replace

from shared.base.ids import AccountId, UserId
from shared.cards.models import Card, CardId, CardStatus
from shared.cards.purse import Wallets
from shared.cards.service import Cards
from shared.cards.store import PAGE_CARDS_MAX
from shared.cards.sweep import CardSweep
from shared.ledger.funds import Funds
from shared.ledger.memory import MemoryLedgerArchive, MemoryLedgerStore
from shared.ledger.models import Head
from shared.ledger.pools import PoolLedger, wallet_of
from shared.ledger.service import Ledger
from shared.ledger.verify import verify_ledger
from shared.pools.invitations import Invitations
from shared.pools.leaving import Partings
from shared.pools.models import (
    Invitation,
    InvitationId,
    Member,
    Pool,
    PoolId,
    PoolStatus,
    PoolTerms,
    SessionOrder,
    Standing,
)
from shared.pools.purse import SessionPurse
from shared.pools.service import Pools
from shared.pools.sessions import Sessions
from shared.pools.store import PAGE_MAX, Change, KeptInvitation, KeptMember, KeptPool, PoolChanged, PoolExists, Version
from shared.pools.sweep import SessionSweep
from tests.cards.builders import Fate, FatedCards, FatedLedger, MemoryCards
from tests.ledger.builders import Ticker, engine_on

ADA, BEN, CLARA = UserId("ada"), UserId("ben"), UserId("clara")
BEGUN = (CardStatus.OPENING, CardStatus.OPEN)


class MemorySessions(MemoryCards):
    """Records of sessions in a dictionary: the promises of their store."""

    async def unended(self, pool_id: PoolId, owner: UserId | None, *, after: CardId | None) -> list[Card]:
        unended = [card for card in self._in(*BEGUN, CardStatus.CLOSING) if after is None or card.card_id > after]
        return [card for card in unended if _of(card, pool_id) and owner in (None, card.owner)][:PAGE_CARDS_MAX]

    async def overdue(self, at_ms: int) -> list[Card]:
        return [card for card in self._in(*BEGUN) if (card.terms.expires_at_ms or 0) <= at_ms][:PAGE_CARDS_MAX]

    def _in(self, *statuses: CardStatus) -> list[Card]:
        cards = [kept.record.card for _, kept in sorted(self.kept.items())]
        return [card for card in cards if card.status in statuses]


def _of(card: Card, pool_id: PoolId) -> bool:
    return card.session is not None and card.session.pool == pool_id


class FatedSessions(FatedCards):
    """The same, in a process whose end is decided."""

    def __init__(self, inner: MemorySessions, fate: Fate) -> None:
        super().__init__(inner, fate)
        self._sessions = inner

    async def unended(self, pool_id: PoolId, owner: UserId | None, *, after: CardId | None) -> list[Card]:
        return await self._sessions.unended(pool_id, owner, after=after)

    async def overdue(self, at_ms: int) -> list[Card]:
        return await self._sessions.overdue(at_ms)

    async def closing(self, *, after: object) -> list[Card]:
        return await self._sessions.closing(after=None)


class MemoryPools:
    """Pools in dictionaries: the promises of their store. With a fate, each write may be a process's last."""

    def __init__(self, inner: "MemoryPools | None" = None, fate: Fate | None = None) -> None:
        self.pools: dict[PoolId, KeptPool] = inner.pools if inner else {}
        self.people: dict[tuple[PoolId, UserId], KeptMember] = inner.people if inner else {}
        self.invitations_: dict[InvitationId, KeptInvitation] = inner.invitations_ if inner else {}
        self._versions: list[int] = inner._versions if inner else [0]
        self._fate = fate

    async def create(self, pool: Pool, owner: Member) -> None:
        await self._before()
        if pool.pool_id in self.pools:
            raise PoolExists
        self.pools[pool.pool_id] = KeptPool(pool, self._next())
        self.people[pool.pool_id, owner.user_id] = KeptMember(owner, self._next())
        await self._done()

    async def replace(self, kept: KeptPool, pool: Pool) -> None:
        await self._before()
        if self.pools[pool.pool_id].version != kept.version:
            raise PoolChanged
        self.pools[pool.pool_id] = KeptPool(pool, self._next())
        await self._done()

    async def find(self, pool_id: PoolId) -> KeptPool | None:
        return self.pools.get(pool_id)

    async def public(self, *, after: PoolId | None) -> list[Pool]:
        shown = [one for one in self._sorted(after) if one.terms.public and one.status is PoolStatus.OPEN]
        return shown[:PAGE_CARDS_MAX]

    async def closing(self, *, after: PoolId | None) -> list[Pool]:
        return [one for one in self._sorted(after) if one.status is PoolStatus.CLOSING][:PAGE_CARDS_MAX]

    async def joined_by(self, user_id: UserId) -> list[PoolId]:
        return [pool_id for (pool_id, one), kept in self.people.items() if one == user_id and _belongs(kept)]

    async def member(self, pool_id: PoolId, user_id: UserId) -> KeptMember | None:
        return self.people.get((pool_id, user_id))

    async def members(self, pool_id: PoolId) -> list[Member]:
        people = sorted(self.people.items())
        return [kept.member for (of, _), kept in people if of == pool_id and _belongs(kept)]

    async def put_members(self, pool_id: PoolId, changes: Sequence[Change]) -> None:
        await self._before()
        self._check(pool_id, changes)
        self._put(pool_id, changes)
        await self._done()

    async def create_invitation(self, invitation: Invitation) -> None:
        if invitation.invitation_id in self.invitations_:
            raise PoolExists
        self.invitations_[invitation.invitation_id] = KeptInvitation(invitation, self._next())

    async def invitation(self, invitation_id: InvitationId) -> KeptInvitation | None:
        return self.invitations_.get(invitation_id)

    async def invitations(self, pool_id: PoolId, *, after: InvitationId | None) -> list[Invitation]:
        found = [kept.invitation for _, kept in sorted(self.invitations_.items())]
        return [one for one in found if one.pool_id == pool_id and (after is None or one.invitation_id > after)][
            :PAGE_MAX
        ]

    async def replace_invitation(self, kept: KeptInvitation, invitation: Invitation) -> None:
        await self._before()
        if self.invitations_[invitation.invitation_id].version != kept.version:
            raise PoolChanged
        self.invitations_[invitation.invitation_id] = KeptInvitation(invitation, self._next())
        await self._done()

    async def admit(self, kept: KeptInvitation, change: Change) -> None:
        await self._before()
        invitation = kept.invitation
        if self.invitations_[invitation.invitation_id].version != kept.version:
            raise PoolChanged
        self._check(invitation.pool_id, [change])
        used = replace(invitation, uses=invitation.uses + 1)
        self.invitations_[invitation.invitation_id] = KeptInvitation(used, self._next())
        self._put(invitation.pool_id, [change])
        await self._done()

    def _check(self, pool_id: PoolId, changes: Sequence[Change]) -> None:
        if any(self.people.get((pool_id, member.user_id)) != kept for kept, member in changes):
            raise PoolChanged

    def _put(self, pool_id: PoolId, changes: Sequence[Change]) -> None:
        for _, member in changes:
            self.people[pool_id, member.user_id] = KeptMember(member, self._next())

    def _sorted(self, after: PoolId | None) -> list[Pool]:
        return [kept.pool for pool_id, kept in sorted(self.pools.items()) if after is None or pool_id > after]

    def _next(self) -> Version:
        self._versions[0] += 1
        return Version(self._versions[0])

    async def _before(self) -> None:
        if self._fate:
            await self._fate.before()

    async def _done(self) -> None:
        if self._fate:
            await self._fate.done()


def _belongs(kept: KeptMember) -> bool:
    return kept.member.standing is Standing.IN


class Process:
    """One process over the stores of a club: it remembers nothing."""

    def __init__(self, club: "Club", fate: Fate | None, pool_store: MemoryPools | None = None) -> None:
        store = FatedLedger(club.memory, fate) if fate else club.memory
        records = FatedSessions(club.records, fate) if fate else club.records
        pools = pool_store or (MemoryPools(club.pool_store, fate) if fate else club.pool_store)
        engine = engine_on(store)
        self.ledger = Ledger(engine, store, club.clock)
        funds = Funds(engine, club.clock)
        self.pool_ledger = PoolLedger(engine, self.ledger, club.clock)
        purse = SessionPurse(Wallets(self.ledger, funds), self.pool_ledger, funds, club.clock)
        cards = Cards(self.ledger, funds, records, club.clock, purse=purse)
        self.sessions = Sessions(cards, records, pools, club.clock)
        self.pools = Pools(self.ledger, self.pool_ledger, pools, club.clock)
        self.invitations = Invitations(pools, club.clock)
        self.partings = Partings(self.pool_ledger, pools, self.sessions, purse)
        closings = CardSweep(cards, records)
        self.sweep = SessionSweep(self.sessions, records, pools, self.partings, closings, club.clock)


class Club:
    """The stores of one deployment, three people with wallets, and one process over them."""

    def __init__(self) -> None:
        self.memory = MemoryLedgerStore()
        self.records = MemorySessions()
        self.pool_store = MemoryPools()
        self.clock = Ticker()
        self.first = self.process()

    def process(self, fate: Fate | None = None, *, pool_store: MemoryPools | None = None) -> Process:
        return Process(self, fate, pool_store)

    async def begin(self, *, paid: int = 1_000) -> Pool:
        """Everybody has so much, and is in Ada's pool."""
        for person in (ADA, BEN, CLARA):
            await self.first.ledger.open(wallet_of(person))
            await self.first.ledger.grant_paid(wallet_of(person), paid, key="paid", facts={})
        pool = await self.first.pools.create(ADA, PoolTerms("a pool"), key="one")
        invited = await self.first.invitations.invite(ADA, pool.pool_id, uses_max=9, lifetime_ms=10**6)
        for person in (BEN, CLARA):
            await self.first.pools.join(person, pool.pool_id, invited.code.reveal())
        return pool

    async def put_in(self, person: UserId, pool: Pool, amount: int) -> None:
        await self.first.pools.contribute(person, pool.pool_id, amount, origin=None, key=f"{person}{amount}")

    async def head(self, account_id: AccountId) -> Head:
        return await self.first.ledger.head(account_id)

    async def wallets(self) -> dict[UserId, int]:
        return {person: (await self.head(wallet_of(person))).balance_micros for person in (ADA, BEN, CLARA)}

    async def check(self) -> None:
        """Every chain holds, and every pool's book is what its entries say."""
        report = await verify_ledger(MemoryLedgerArchive(self.memory), {})
        assert report.intact, report.broken


def order(pool: Pool | None, budget: int, lifetime_ms: int = 60_000) -> SessionOrder:
    return SessionOrder("s", pool.pool_id if pool else None, budget, None, lifetime_ms)
