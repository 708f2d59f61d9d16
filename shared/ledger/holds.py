"""The operations on holds: place one, let it go. They write the head only."""

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, HoldId, entry_id_of
from shared.ledger import rules
from shared.ledger.errors import HoldAbsent, KeyReused
from shared.ledger.models import Head, Hold, HoldLimits, RateLeft
from shared.ledger.operation import Entries, HeadOnly, Heads, Step, present


class Held(Struct, frozen=True):
    """The outcome of placing a hold."""

    hold: Hold
    spendable_micros: int
    rate: RateLeft | None = None
    """None where none was placed but one was looked at or made longer."""


class Released(Struct, frozen=True):
    """The outcome of letting a hold go."""

    hold_id: HoldId


class PlaceHold(HeadOnly, frozen=True):
    """Set credits aside for a call. Writes the head only."""

    hold: Hold
    limits: HoldLimits

    def apply(self, heads: Heads) -> Step[Held]:
        head = present(heads, self.account_id)
        if self.hold.hold_id in head.holds:
            # Placing it anew would count it twice, or change its amount; the engine will reread and recall it.
            raise KeyReused
        rules.check_amount(self.hold.amount_micros)
        rules.check_may_spend(head)
        after = rules.place_hold(head, self.hold, self.limits)
        placed_at_ms = self.hold.placed_at_ms
        rate = _rate_left(after, placed_at_ms, self.limits)
        return Step((after,), (), Held(self.hold, rules.spendable_micros(after, placed_at_ms), rate))

    def recall(self, heads: Heads, entries: Entries) -> Held | None:
        head = heads.get(self.account_id)
        placed = head.holds.get(self.hold.hold_id) if head else None
        if head is None or placed is None:
            return None
        if placed.amount_micros != self.hold.amount_micros:
            raise KeyReused
        rate = _rate_left(head, placed.placed_at_ms, self.limits)
        return Held(placed, rules.spendable_micros(head, placed.placed_at_ms), rate)


class ExtendHold(HeadOnly, frozen=True):
    """Let a hold live longer, for a call that goes on. It never lives shorter. Writes the head only."""

    hold_id: HoldId
    expires_at_ms: int
    at_ms: int

    def apply(self, heads: Heads) -> Step[Held]:
        before, hold = rules.take_hold(present(heads, self.account_id), self.hold_id, self.at_ms)
        extended = replace(hold, expires_at_ms=max(hold.expires_at_ms, self.expires_at_ms))
        after = replace(before, holds={**before.holds, self.hold_id: extended})
        return Step((after,), (), Held(extended, rules.spendable_micros(after, self.at_ms)))

    def recall(self, heads: Heads, entries: Entries) -> Held | None:
        head = heads.get(self.account_id)
        hold = head.holds.get(self.hold_id) if head else None
        if head is None or hold is None or hold.expires_at_ms < self.expires_at_ms:
            return None
        return Held(hold, rules.spendable_micros(head, self.at_ms))


class ReleaseHold(Struct, frozen=True):
    """Let a hold go uncharged. Refused once the hold was captured: a hold resolves one way only."""

    account_id: AccountId
    hold_id: HoldId
    at_ms: int

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        return (self.account_id,)

    @property
    def entry_id(self) -> EntryId:
        return entry_id_of(capture_key(self.hold_id))

    def apply(self, heads: Heads) -> Step[Released]:
        after, _ = rules.take_hold(present(heads, self.account_id), self.hold_id, self.at_ms)
        return Step((after,), (), Released(self.hold_id))

    def recall(self, heads: Heads, entries: Entries) -> Released | None:
        if (self.account_id, self.entry_id) in entries:
            raise HoldAbsent
        return None


def capture_key(hold_id: HoldId) -> str:
    """The idempotency key of a hold's capture: a hold is captured at most once because an entry is created once."""
    return f"hold:{hold_id}"


def _rate_left(head: Head, at_ms: int, limits: HoldLimits) -> RateLeft:
    """What is left of the window that the last hold was counted in."""
    remaining = max(0, limits.per_window_max - head.window.count)
    resets_in_ms = min(limits.window_ms, max(0, head.window.start_ms + limits.window_ms - at_ms))
    return RateLeft(limits.per_window_max, remaining, resets_in_ms)
