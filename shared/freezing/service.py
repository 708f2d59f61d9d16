"""What operators do when credits must not move: freeze an account, or let it go. Every verb may be repeated.

The decision is written first, on the account's record; then the ledger is brought to what the record says, and whoever
changed an account looks at the record once more. So a repeat finishes what a dead process began, and of two operators
at once the later decision holds everywhere.
"""

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.ids import AccountId, UserId
from shared.base.log import write_line
from shared.base.together import all_of
from shared.cards.models import Card, CardId
from shared.cards.store import PAGE_CARDS_MAX, CardStore
from shared.freezing import rules
from shared.freezing.errors import FreezeContested, FreezeRecordFull, FreezeUnfinished, FrozenWithWallet
from shared.ledger.administration import Administration
from shared.ledger.errors import AccountAbsent, AccountNotFrozen, AccountNotOpen, LedgerUnavailable
from shared.ledger.models import Status, account_class
from shared.ledger.service import Ledger
from shared.ledger.store import LedgerStore, StoreUnavailable
from shared.pools.models import PoolId, Role
from shared.pools.store import PoolStore
from shared.risk.decisions import Decisions
from shared.risk.models import Decision

WALK_MS_MAX = 40_000
"""For the cards and sessions of one person; shorter than the function may run."""
TRIES_MAX = 10
"""Of one account against others who change it at the same moment."""
AT_ONCE_MAX = 10


class Frozen(Struct, frozen=True):
    """What was decided, and how the account stands now."""

    account_id: AccountId
    decision: Decision
    status: Status

    @property
    def is_freeze(self) -> bool:
        """Whether it was decided to freeze."""
        return self.decision.rule == rules.FREEZE


class Freezing:
    """Freezes accounts. A wallet's cards and sessions follow it."""

    def __init__(
        self,
        ledger: Ledger,
        store: LedgerStore,
        administration: Administration,
        decisions: Decisions,
        cards: CardStore,
        sessions: CardStore,
        pools: PoolStore,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._administration = administration
        self._decisions = decisions
        self._cards = cards
        self._sessions = sessions
        self._pools = pools
        self._clock = clock

    async def freeze(self, account_id: AccountId, *, key: str, reason: str, by: str) -> Frozen:
        """Let nothing more leave the account; of a wallet, nor its cards and sessions. Calls under way are still paid.

        Raise AccountAbsent, AccountNotOpen once it is closed, KeyReused, FreezeUnfinished, FreezeContested,
        FreezeRecordFull, or what is busy or unavailable; then a repeat goes on.
        """
        return await self._decide(account_id, rules.FREEZE, key=key, reason=reason, by=by)

    async def unfreeze(self, account_id: AccountId, *, key: str, reason: str, by: str) -> Frozen:
        """Let the account go, and what followed it, but for what is frozen for itself. Raise like `freeze`, and
        AccountNotFrozen or FrozenWithWallet.
        """
        return await self._decide(account_id, rules.UNFREEZE, key=key, reason=reason, by=by)

    async def _decide(self, account_id: AccountId, rule: str, *, key: str, reason: str, by: str) -> Frozen:
        owner = await self._owner_of(account_id)
        subject = rules.subject_of(account_id)
        wanted = Decision(decision_id=f"operator:{key}", rule=rule, outcome=reason, by=by, at_ms=self._clock())
        known = await self._decisions.of(subject)
        if rules.repeated(known, wanted) is None:
            status = (await self._ledger.head(account_id)).status
            if status is Status.CLOSED:
                raise AccountNotOpen(status)
            if rule == rules.UNFREEZE and not rules.is_frozen(known):
                raise FrozenWithWallet if status is Status.FROZEN else AccountNotFrozen(status)
            known = (await self._decisions.add(subject, owner, wanted)).decisions
        decision = rules.repeated(known, wanted)
        if decision is None:
            raise FreezeRecordFull
        # If we die here or anywhere below, what was done stays done, and a repeat comes this way again.
        await self._carry_out(account_id, owner)
        if account_class(account_id) == "user":
            # A card that comes later gets nothing: its wallet, or a pool on its behalf, looks at the wallet first.
            await self._walk(self._cards, account_id, owner)
            await self._walk(self._sessions, account_id, owner)
        write_line("WARNING", rule, account=account_id, by=by, reason=reason)
        return Frozen(account_id, decision, (await self._ledger.head(account_id)).status)

    async def _owner_of(self, account_id: AccountId) -> UserId:
        """Who may read what is decided of the account. Raise AccountAbsent."""
        name, owner = rules.name_in(account_id), rules.owner_named(account_id)
        if account_class(account_id) == "card":
            kept = await self._cards.find(CardId(name))
            owner = kept.record.card.owner if kept else None
        elif account_class(account_id) == "pool":
            members = await self._pools.members(PoolId(name))
            owner = next((member.user_id for member in members if member.role is Role.OWNER), None)
        if owner is None:
            raise AccountAbsent
        return owner

    async def _walk(self, store: CardStore, wallet_id: AccountId, owner: UserId) -> None:
        """Bring all of a person's cards to what is decided. Those that are there already cost a part of one read."""
        ends_at_ms = self._clock() + WALK_MS_MAX
        after: CardId | None = None
        while True:
            cards = await store.owned_by(owner, after=after)
            wanted = Status.FROZEN if rules.is_frozen(await self._of(wallet_id)) else Status.OPEN
            for account_ids in _groups(await self._others(cards, wanted)):
                await all_of(self._carry_out(account_id, owner) for account_id in account_ids)
            if len(cards) < PAGE_CARDS_MAX:
                return
            if self._clock() >= ends_at_ms:
                raise FreezeUnfinished
            after = cards[-1].card_id

    async def _others(self, cards: list[Card], wanted: Status) -> list[AccountId]:
        """The accounts of those cards that stand otherwise.

        One without an account yet, whose creation died or is under way, will get no credits while its owner's wallet is
        frozen.
        """
        if not cards:
            return []
        try:
            seen = await self._store.read([card.account_id for card in cards], ())
        except StoreUnavailable:
            raise LedgerUnavailable from None
        heads = [known.head for known in seen.heads.values() if known.head is not None]
        return [head.account_id for head in heads if head.status not in (wanted, Status.CLOSED)]

    async def _carry_out(self, account_id: AccountId, owner: UserId) -> None:
        """Bring one account to what is decided of it, until nobody has decided otherwise meanwhile."""
        wallet_id = AccountId(f"user:{owner}")
        for _ in range(TRIES_MAX):
            own = await self._of(account_id)
            owners = await self._of(wallet_id) if account_class(account_id) == "card" else ()
            decision = rules.reason_among(own, owners)
            head = await self._ledger.head(account_id)
            wanted = Status.FROZEN if decision is not None and decision.rule == rules.FREEZE else Status.OPEN
            if decision is None or head.status in (wanted, Status.CLOSED):
                return
            # The state that it changes is part of the key: after a later decision this one may have to be made again.
            key = f"{decision.rule}:{decision.decision_id}:{head.seq}"
            facts = {"reason": decision.outcome, "by": decision.by}
            change = self._administration.freeze if wanted is Status.FROZEN else self._administration.unfreeze
            try:
                await change(account_id, key=key, facts=facts)
            except (AccountNotOpen, AccountNotFrozen):
                # Somebody was faster, whoever it was.
                continue
        raise FreezeContested

    async def _of(self, account_id: AccountId) -> tuple[Decision, ...]:
        return await self._decisions.of(rules.subject_of(account_id))


def _groups(account_ids: list[AccountId]) -> list[list[AccountId]]:
    return [account_ids[at : at + AT_ONCE_MAX] for at in range(0, len(account_ids), AT_ONCE_MAX)]
