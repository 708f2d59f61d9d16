"""Ways to break the ledger, one safeguard each: what the simulation must notice."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from shared.ledger import (
    audit,
    chain,
    corrections,
    documents,
    engine,
    group,
    holds,
    operation,
    postings,
    rules,
    settlement,
    settling,
)
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Origin
from shared.ledger.operation import Posted, Posting
from shared.ledger.postings import Transfer
from shared.ledger.store import CommitFailed, Version
from shared.proof import checkpoint, sums
from shared.proof.memory import MemoryLogStore
from shared.proof.store import StateVersion

Patch = pytest.MonkeyPatch
Breakage = Callable[[Patch], None]

_commit = MemoryLedgerStore.commit


def no_head_precondition(patch: Patch) -> None:
    """The store writes heads over whatever it finds."""

    async def commit(self: Any, heads: Any, entries: Any) -> Any:
        current = [replace(write, expected=self._versions.get(write.head.account_id)) for write in heads]
        return await _commit(self, current, entries)

    patch.setattr(MemoryLedgerStore, "commit", commit)


def entries_overwritten(patch: Patch) -> None:
    """The store replaces an entry that is there."""

    async def commit(self: Any, heads: Any, entries: Any) -> Any:
        kept = {(entry.account_id, entry.entry_id): None for entry in entries}
        before = {ref: self.entries.pop(ref) for ref in kept if ref in self.entries}
        try:
            return await _commit(self, heads, entries)
        except CommitFailed:
            self.entries.update(before)
            raise

    patch.setattr(MemoryLedgerStore, "commit", commit)


def acknowledged_before_durable(patch: Patch) -> None:
    """The store says done and forgets every eighth commit."""

    async def commit(self: Any, heads: Any, entries: Any) -> Any:
        if self._commits % 8 == 7:
            self._commits += 1
            return {write.head.account_id: Version(self._commits) for write in heads}
        return await _commit(self, heads, entries)

    patch.setattr(MemoryLedgerStore, "commit", commit)


def half_a_commit(patch: Patch) -> None:
    """Of two heads in one commit, the store writes one."""

    async def commit(self: Any, heads: Any, entries: Any) -> Any:
        first = heads[:1]
        owner = first[0].head.account_id
        await _commit(self, first, [entry for entry in entries if entry.account_id == owner])
        return {write.head.account_id: self._versions.get(write.head.account_id) for write in heads}

    patch.setattr(MemoryLedgerStore, "commit", commit)


def no_reread_after_doubt(patch: Patch) -> None:
    """The engine tries again without looking for its entries."""

    async def recall(self: Any, lanes: Any, effort: Any) -> None:
        for lane in lanes:
            lane.known = None
        effort.certain = True

    patch.setattr(engine.Engine, "_recall", recall)


def failure_taken_for_success(patch: Patch) -> None:
    """The engine takes a commit without an answer for done."""
    original = engine.Engine._try_round

    async def try_round(self: Any, lanes: Any, effort: Any) -> None:
        known = await self._heads(lanes)
        plan = group.plan_group({account_id: k.head for account_id, k in known.items()}, effort.left)
        try:
            await original(self, lanes, effort)
        except CommitFailed:
            for waiting, result in plan.accepted:
                waiting.succeed(result)
            raise

    patch.setattr(engine.Engine, "_try_round", try_round)


def commits_in_doubt_forgotten(patch: Patch) -> None:
    """The engine refuses an operation whose earlier commit may still land."""
    patch.setattr(group.Doubt, "may_land", lambda self, known, left: False)


def refused_on_hearsay(patch: Patch) -> None:
    """The engine refuses by a cached head, without a look at what is stored."""
    patch.setattr(engine, "_Effort", functools.partial(engine._Effort, certain=True))


def hold_sum_left_out(patch: Patch) -> None:
    """Held credits can be spent."""
    patch.setattr(rules, "held_micros", lambda head, at_ms: 0)


def capture_beyond_its_hold(patch: Patch) -> None:
    """A capture may take more than was held."""
    patch.setattr(rules, "check_within_hold", lambda hold, amount_micros: None)


def captured_hold_kept(patch: Patch) -> None:
    """A resolved hold stays on the head."""
    original = rules.take_hold

    def take_hold(head: Any, hold_id: Any, at_ms: int) -> Any:
        return head, original(head, hold_id, at_ms)[1]

    patch.setattr(rules, "take_hold", take_hold)


def dead_holds_counted(patch: Patch) -> None:
    """Holds never expire."""
    patch.setattr(rules, "live_holds", lambda holds, at_ms: dict(holds))


def expired_credits_spent(patch: Patch) -> None:
    """Expiry is not looked at."""
    patch.setattr(rules, "_outlives", lambda expires_at_ms, at_ms: True)


def paid_before_soonest(patch: Patch) -> None:
    """Lots are spent in the wrong order."""
    patch.setattr(rules, "_spending_order", lambda lot: -(lot.expires_at_ms or 0))


def residue_lost(patch: Patch) -> None:
    """Rounding keeps a part for nobody."""
    patch.setattr(rules, "split", lambda total, weights: [total * weight // sum(weights) for weight in weights])


def key_reuse_unnoticed(patch: Patch) -> None:
    """A key answers for any request."""

    def recall(self: Any, heads: Any, entries: Any) -> Posted | None:
        entry = entries.get((self.account_id, self.entry_id))
        return None if entry is None else Posted(entry, repeated=True)

    patch.setattr(Posting, "recall", recall)


def window_uncounted(patch: Patch) -> None:
    """Holds do not count against their rate."""
    patch.setattr(rules, "_count_one", lambda window, at_ms, limits: window)


def one_sided_transfer(patch: Patch) -> None:
    """The payee's part of a transfer is lost on the way."""
    original = Transfer.apply

    def apply(self: Any, heads: Any) -> Any:
        step = original(self, heads)
        return replace(step, heads=step.heads[:1], entries=step.entries[:1])

    patch.setattr(Transfer, "apply", apply)


def hash_without_link(patch: Patch) -> None:
    """Entries do not bind the ones before them."""
    patch.setattr(chain, "link", lambda prev_hash, content_hash: content_hash)


def hold_placed_twice(patch: Patch) -> None:
    """A hold that is on the head is placed anew."""

    def apply(self: Any, heads: Any) -> Any:
        head = operation.present(heads, self.account_id)
        rules.check_amount(self.hold.amount_micros)
        after = rules.place_hold(head, self.hold, self.limits)
        held = holds.Held(self.hold, rules.spendable_micros(after, self.hold.placed_at_ms))
        return operation.Step((after,), (), held)

    patch.setattr(holds.PlaceHold, "apply", apply)


def windows_closed_too_early(patch: Patch) -> None:
    """Settlement leaves no margin for commits that are seen late."""
    patch.setattr(settlement, "MARGIN", timedelta(0))


def horizon_before_postings(patch: Patch) -> None:
    """The horizon moves over a window before its payees are posted to."""
    original = settlement.Settlement._settle

    async def settle(self: Any, window: Any) -> Any:
        await self._windows.put_horizon(window.band, window.ends_at)
        return await original(self, window)

    patch.setattr(settlement.Settlement, "_settle", settle)


def settled_under_a_new_key(patch: Patch) -> None:
    """A settlement's key changes with the time at which it is made, so that a repeat posts again."""
    patch.setattr(settling.Settle, "idempotency_key", lambda self: f"{settling.settle_key(self.window)}:{self.at_ms}")


def payee_left_out(patch: Patch) -> None:
    """Of several payees of one window, the last gets nothing."""
    original = settling.Fold.folded
    patch.setattr(settling.Fold, "folded", lambda self: original(self)[:2])


def settlement_without_its_other_side(patch: Patch) -> None:
    """A settlement's legs count as owed once more."""
    original = settling.owed_by

    def owed_by(entry: Any) -> Any:
        owed = original(entry)
        for leg in entry.legs if entry.kind == "settle" else ():
            owed.setdefault(leg.account_id, {})[leg.origin] = leg.amount_micros
        return owed

    patch.setattr(settling, "owed_by", owed_by)


def unbalanced_books_signed(patch: Patch) -> None:
    """The checkpoint does not look whether the sums cancel."""
    patch.setattr(sums.Totals, "drift_micros", 0)


def log_without_precondition(patch: Patch) -> None:
    """The log is appended to whatever its state has become."""
    original = MemoryLogStore.append

    async def append(self: Any, grown: Any, expected: Any) -> Any:
        current = None if self.state_fields is None else StateVersion(self._commits)
        return await original(self, grown, current)

    patch.setattr(MemoryLogStore, "append", append)


def published_before_appended(patch: Patch) -> None:
    """A note leaves the process before the log has grown by what it signs."""
    original = checkpoint.Checkpoints._commit

    async def commit(self: Any, log: Any, grown: Any) -> None:
        await self._vault.publish(grown.state.size, grown.state.note)
        await original(self, log, grown)

    patch.setattr(checkpoint.Checkpoints, "_commit", commit)


def unpublished_note_forgotten(patch: Patch) -> None:
    """What a run that died has signed is not published by the next one."""

    async def open_log(self: Any) -> Any:
        known = await self._log.state()
        stored = await self._log.tiles(checkpoint.tiles_to_extend(known.state.size))
        edge = checkpoint.checked_edge(known.state, stored, self._signer.verifier_key)
        return checkpoint._Open(known.state, known.version, edge)

    patch.setattr(checkpoint.Checkpoints, "_open", open_log)


def cursor_over_unfinished(patch: Patch) -> None:
    """An audit's cursor passes an account of which entries are left."""
    original = audit.Audit._audit_changed

    async def audit_changed(self: Any, *args: Any) -> Any:
        await original(self, *args)
        return audit.End.WHOLE

    patch.setattr(audit.Audit, "_audit_changed", audit_changed)


def lots_without_bound(patch: Patch) -> None:
    """However many lots there are, none are merged."""
    patch.setattr(rules, "LOTS_MAX", 10_000)


def expired_lots_revived(patch: Patch) -> None:
    """To make room, lots that have expired are merged with those that have not."""
    original = rules.changes_to_add
    patch.setattr(rules, "changes_to_add", lambda lots, added, *, at_ms: original(lots, added, at_ms=0))


def day_without_limit(patch: Patch) -> None:
    """Any amount may be sent in a day."""
    original = rules.count_sent

    def count_sent(sending: Any, to: Any, amount_micros: int, at_ms: int, limits: Any) -> Any:
        return original(sending, to, amount_micros, at_ms, replace(limits, per_day_micros_max=10**15))

    patch.setattr(rules, "count_sent", count_sent)


def repeat_sent_unasked(patch: Patch) -> None:
    """What looks sent twice by mistake is sent."""
    patch.setattr(rules, "check_not_repeated", lambda *_: None)


def revoked_again(patch: Patch) -> None:
    """A revocation's key changes with the time at which it is made, so that a repeat takes the grant once more."""
    patch.setattr(corrections.Revoke, "idempotency_key", lambda self: f"revoke:{self.original.entry_id}:{self.at_ms}")


def captured_late_again(patch: Patch) -> None:
    """A late capture does not know of the one that was made in time."""
    original = postings.Capture.idempotency_key
    patch.setattr(postings.Capture, "idempotency_key", lambda self: original(self) + ":late" * self.late)


def extension_cuts_short(patch: Patch) -> None:
    """A hold that is extended by a slow clock ends sooner than it would have."""

    def apply(self: Any, heads: Any) -> Any:
        before, hold = rules.take_hold(operation.present(heads, self.account_id), self.hold_id, self.at_ms)
        extended = replace(hold, expires_at_ms=self.expires_at_ms)
        after = replace(before, holds={**before.holds, self.hold_id: extended})
        return operation.Step((after,), (), holds.Held(extended, rules.spendable_micros(after, self.at_ms)))

    patch.setattr(holds.ExtendHold, "apply", apply)


def another_undone(patch: Patch) -> None:
    """What undoes an entry names another one."""
    patch.setattr(corrections, "reversal_facts", lambda original, facts: (*facts, ("reverses", original.request_hash)))


def sellers_left_unnamed(patch: Patch) -> None:
    """An entry cannot be found by those whom it owes."""
    patch.setattr(documents, "payees_of", lambda _: [])


def gift_made_paid(patch: Patch) -> None:
    """What was given counts as paid for, and nobody holds what is written against where it came from."""
    original = postings.Grant.apply

    def apply(self: Any, heads: Any) -> Any:
        promo = original(replace(self, origin=Origin.PAID, expires_at_ms=None), heads)
        legs = tuple(replace(leg, origin=self.origin) for leg in promo.entries[0].legs)
        entry = chain.seal(replace(promo.entries[0], legs=legs))
        head = replace(promo.heads[0], hash=entry.hash)
        return operation.Step((head,), (entry,), Posted(entry))

    patch.setattr(postings.Grant, "apply", apply)


MUTANTS: tuple[Breakage, ...] = (
    no_head_precondition,
    entries_overwritten,
    acknowledged_before_durable,
    half_a_commit,
    no_reread_after_doubt,
    failure_taken_for_success,
    commits_in_doubt_forgotten,
    refused_on_hearsay,
    hold_sum_left_out,
    capture_beyond_its_hold,
    captured_hold_kept,
    dead_holds_counted,
    expired_credits_spent,
    paid_before_soonest,
    residue_lost,
    key_reuse_unnoticed,
    window_uncounted,
    one_sided_transfer,
    hash_without_link,
    hold_placed_twice,
    windows_closed_too_early,
    horizon_before_postings,
    settled_under_a_new_key,
    payee_left_out,
    settlement_without_its_other_side,
    unbalanced_books_signed,
    log_without_precondition,
    published_before_appended,
    unpublished_note_forgotten,
    cursor_over_unfinished,
    lots_without_bound,
    expired_lots_revived,
    day_without_limit,
    repeat_sent_unasked,
    revoked_again,
    captured_late_again,
    extension_cuts_short,
    another_undone,
    sellers_left_unnamed,
    gift_made_paid,
)
