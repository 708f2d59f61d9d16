"""The operations that change what an account may do: freeze, unfreeze, close."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace

from shared.base.ids import AccountId
from shared.ledger import rules
from shared.ledger.corrections import breakage_legs, expired_changes
from shared.ledger.errors import AccountInDebt, AccountNotFrozen, HoldsOpen, TransferToSelf
from shared.ledger.models import DEFERRED_CLASSES, EntryKind, Head, Leg, LotChange, Status, account_class
from shared.ledger.operation import Facts, Heads, Posted, Posting, Step, flat, post, present
from shared.ledger.pool_errors import PoolInUse


class _Noted(Posting, frozen=True, kw_only=True):
    """A change of standing under a key of its caller's, with the facts that explain it; it moves no credits."""

    key: str
    facts: Facts

    def idempotency_key(self) -> str:
        return self.key

    def request_fields(self) -> Sequence[str]:
        return flat(self.facts)


class Freeze(_Noted, frozen=True, kw_only=True):
    """Let nothing more be spent. Credits still come in, and holds placed before are still captured."""

    kind: ClassVar[EntryKind] = EntryKind.FREEZE

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        rules.check_may_spend(head)
        return post(self, head, changes=(), legs=(), facts=self.facts)


class Unfreeze(_Noted, frozen=True, kw_only=True):
    """Let a frozen account spend again."""

    kind: ClassVar[EntryKind] = EntryKind.UNFREEZE

    def apply(self, heads: Heads) -> Step[Posted]:
        head = present(heads, self.account_id)
        if head.status is not Status.FROZEN:
            raise AccountNotFrozen(head.status)
        return post(self, head, changes=(), legs=(), facts=self.facts)


class Close(_Noted, frozen=True, kw_only=True):
    """Close an account for good and move its rest to another one; what had expired is breakage.

    A pool has no rest: everybody must have theirs back before.
    """

    kind: ClassVar[EntryKind] = EntryKind.CLOSE
    rest_to: AccountId

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        if account_class(self.rest_to) in DEFERRED_CLASSES:
            return (self.account_id,)
        return (self.account_id, self.rest_to)

    def request_fields(self) -> Sequence[str]:
        return (self.rest_to, *flat(self.facts))

    def apply(self, heads: Heads) -> Step[Posted]:
        if self.account_id == self.rest_to:
            raise TransferToSelf
        head = present(heads, self.account_id)
        rules.check_may_spend(head)
        _check_resolved(head, self.at_ms)
        _check_ended(head, self.at_ms)
        expired = expired_changes(head, self.at_ms)
        rest = [LotChange(x.origin, x.expires_at_ms, -x.remaining_micros) for x in head.lots]
        rest = [change for change in rest if change not in expired]
        given = tuple(Leg(self.rest_to, origin, amount) for origin, amount in rules.by_origin(rest).items())
        closed = post(self, head, changes=[*expired, *rest], legs=(*breakage_legs(expired), *given), facts=self.facts)
        if len(self.account_ids) == 1 or not rest:
            return closed
        received = self.receive(present(heads, self.rest_to), rest, given)
        return Step(closed.heads + received.heads, closed.entries + received.entries, closed.result)

    def receive(self, head: Head, rest: Sequence[LotChange], given: Sequence[Leg]) -> Step[Posted]:
        """The other side: a transfer from the account that closes."""
        rules.check_may_receive(head)
        added = [replace(change, delta_micros=-change.delta_micros) for change in rest]
        return post(
            self,
            head,
            changes=rules.changes_to_add(head.lots, added, at_ms=self.at_ms),
            legs=tuple(Leg(self.account_id, leg.origin, -leg.amount_micros) for leg in given),
            facts=self.facts,
            kind=EntryKind.TRANSFER,
        )


def _check_ended(head: Head, at_ms: int) -> None:
    """Raise PoolInUse for a pool from which not everybody has theirs back."""
    book = head.book
    if book and (not book.closing or book.draws_open or rules.usable_micros(head.lots, at_ms)):
        raise PoolInUse


def _check_resolved(head: Head, at_ms: int) -> None:
    """Raise HoldsOpen or AccountInDebt while something is still due."""
    if rules.live_holds(head.holds, at_ms):
        raise HoldsOpen
    if any(lot.remaining_micros < 0 for lot in head.lots):
        raise AccountInDebt(owed_micros=-min(lot.remaining_micros for lot in head.lots))
