"""Pure arithmetic of a pool's book: whose its lots are, who may take how much, and who gets what back.

Everybody's stake is in lots of their own, so promotional credits stay their contributor's, and what expires is known to
be whose. Whoever draws uses up their own lots first, and then paid lots of the others in proportion to what those have.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from shared.base.ids import UserId
from shared.base.micros import split
from shared.base.periods import Period, period_start_ms
from shared.ledger import allowances, rules
from shared.ledger.errors import CreditTooLow, SpendLimitReached
from shared.ledger.models import Book, Lot, LotChange, Origin, Stake
from shared.ledger.pool_errors import StakeAbsent, StakesOnly

SHARES_FACT = "shares"
"""The fact of a pool's entry that says whose lots it changed: rows of user, origin, expiry and micros, as JSON."""
STAKES_MAX = 200
"""Twice as many as members: who left and still has something keeps a row on the head, which every posting rewrites."""

Lots = dict[tuple[Origin, int | None], int]
Row = tuple[UserId, Origin, int | None, int]
"""What an entry did to the lots of one origin and expiry of one person."""


def summed(lots: Iterable[Lot]) -> Lots:
    """Lots by origin and expiry."""
    return {(lot.origin, lot.expires_at_ms): lot.remaining_micros for lot in lots}


def lots_of(book: Book) -> Lots:
    """All lots of the book, whosever they are."""
    sums: Lots = {}
    for stake in book.stakes:
        for (origin, expires_at_ms), micros in summed(stake.lots).items():
            sums[origin, expires_at_ms] = sums.get((origin, expires_at_ms), 0) + micros
    return sums


def stake_of(book: Book, user_id: UserId) -> Stake | None:
    """The stake of a person, with a seat or without."""
    return next((stake for stake in book.stakes if stake.user_id == user_id), None)


def seated(book: Book, user_id: UserId) -> Stake:
    """The stake of a member. Raise StakeAbsent."""
    stake = stake_of(book, user_id)
    if stake is None or not stake.seated:
        raise StakeAbsent
    return stake


def with_stake(book: Book, stake: Stake, at_ms: int) -> Book:
    """The book with this stake in place of the person's former one, without rows that say nothing any more."""
    kept = [other for other in book.stakes if other.user_id != stake.user_id and not _is_spent(other, at_ms)]
    return replace(book, stakes=tuple(sorted([*kept, stake], key=lambda one: one.user_id)))


def own_micros(stake: Stake, at_ms: int) -> int:
    """What the person could take out."""
    return rules.usable_micros(stake.lots, at_ms)


def lent_micros_max(book: Book, user_id: UserId, at_ms: int) -> int:
    """What the others have that this member could draw, were there no limit: their paid credits."""
    return sum(weight for _, weight in _lenders(book, user_id, at_ms))


def drawable_micros(book: Book, user_id: UserId, at_ms: int) -> int:
    """What the person could draw now; nothing without a seat."""
    stake = stake_of(book, user_id)
    if stake is None or not stake.seated:
        return 0
    lent = lent_micros_max(book, user_id, at_ms)
    left = limit_left_micros(stake, at_ms)
    return own_micros(stake, at_ms) + (lent if left is None else min(lent, left))


def limit_left_micros(stake: Stake, at_ms: int) -> int | None:
    """What the limit leaves of the others' credits in this period; None without a limit."""
    limit = stake.allowance.limit
    if limit is None:
        return None
    return max(0, limit.amount_micros - allowances.counted_micros(stake.allowance, limit.period, at_ms))


def contribute(book: Book, user_id: UserId, given: Sequence[LotChange], at_ms: int) -> Book:
    """The book after a member put credits in. Raise StakeAbsent."""
    stake = seated(book, user_id)
    micros = sum(change.delta_micros for change in given)
    added = replace(
        stake, lots=rules.apply_changes(stake.lots, given), contributed_micros=stake.contributed_micros + micros
    )
    return with_stake(book, added, at_ms)


def withdraw(book: Book, user_id: UserId, amount_micros: int, at_ms: int) -> tuple[Book, list[LotChange]]:
    """The book after a person took out of their own, and what was taken. Raise StakeAbsent or CreditTooLow."""
    stake = stake_of(book, user_id)
    if stake is None:
        raise StakeAbsent
    taken = rules.consume(stake.lots, amount_micros, valid_at_ms=at_ms)
    less = replace(
        stake,
        lots=rules.apply_changes(stake.lots, taken),
        withdrawn_micros=stake.withdrawn_micros + amount_micros,
    )
    return with_stake(book, less, at_ms), taken


def draw(book: Book, user_id: UserId, amount_micros: int, at_ms: int) -> tuple[Book, list[LotChange]]:
    """The book after a member drew credits for a card, and what was taken in all.

    Their own lots first; the rest from the paid lots of the others, each in proportion to what they have, the parts
    summing to it. Raise StakeAbsent, CreditTooLow, or SpendLimitReached when only the member's limit forbids it.
    """
    stake = seated(book, user_id)
    own = min(amount_micros, own_micros(stake, at_ms))
    lent = amount_micros - own
    _check_lent(book, stake, amount_micros, lent, at_ms)
    taken = rules.consume(stake.lots, own, valid_at_ms=at_ms)
    allowance = allowances.count_spent(stake.allowance, lent, at_ms) or stake.allowance
    drawer = replace(
        stake,
        lots=rules.apply_changes(stake.lots, taken),
        allowance=allowance,
        used_micros=stake.used_micros + amount_micros,
    )
    after = with_stake(replace(book, draws_open=book.draws_open + 1), drawer, at_ms)
    changes = list(taken)
    lenders = _lenders(book, user_id, at_ms) if lent else []
    parts = split(lent, [weight for _, weight in lenders]) if lenders else []
    for (lender, _), part in zip(lenders, parts, strict=True):
        if part:
            shared = rules.consume(_paid(lender.lots), part, valid_at_ms=at_ms)
            less = replace(lender, lots=rules.apply_changes(lender.lots, shared), lent_micros=lender.lent_micros + part)
            after = with_stake(after, less, at_ms)
            changes += shared
    return after, merged(changes)


def give_back(
    book: Book, user_id: UserId, drawn: Sequence[Row], drawn_at_ms: int, rest: Sequence[LotChange], at_ms: int
) -> Book:
    """The book after the rest of a draw came back.

    The drawer's own credits were used up first, so those of the others come back first, up to what each had given and
    in proportion to it. What comes back counts no longer against the limit, in the periods in which it was drawn.
    """
    after = replace(book, draws_open=book.draws_open - 1)
    back: dict[UserId, list[LotChange]] = {}
    for change in rest:
        for owner, micros in _parts_back(change, user_id, drawn).items():
            back.setdefault(owner, []).append(replace(change, delta_micros=micros))
    lent_back = 0
    for owner, changes in back.items():
        micros = sum(change.delta_micros for change in changes)
        stake = stake_of(after, owner) or Stake(owner, seated=False)
        stake = replace(stake, lots=rules.apply_changes(stake.lots, changes))
        if owner != user_id:
            lent_back += micros
            stake = replace(stake, lent_micros=max(0, stake.lent_micros - micros))
        after = with_stake(after, stake, at_ms)
    drawer = stake_of(after, user_id) or Stake(user_id, seated=False)
    drawer = replace(
        drawer,
        used_micros=max(0, drawer.used_micros - sum(change.delta_micros for change in rest)),
        allowance=allowances.uncount(drawer.allowance, lent_back, spent_at_ms=drawn_at_ms, at_ms=at_ms),
    )
    return with_stake(after, drawer, at_ms)


def without_expired(book: Book, changes: Sequence[LotChange], at_ms: int) -> Book:
    """The book without lots that have expired, whosever they were. Raise StakesOnly for any other change of lots."""
    gone = {(change.origin, change.expires_at_ms): -change.delta_micros for change in changes}
    had = lots_of(book)
    for (origin, expires_at_ms), micros in gone.items():
        expired = expires_at_ms is not None and expires_at_ms <= at_ms
        if not expired or had.get((origin, expires_at_ms)) != micros:
            raise StakesOnly
    after = book
    for stake in book.stakes:
        lots = tuple([lot for lot in stake.lots if (lot.origin, lot.expires_at_ms) not in gone])
        if lots != stake.lots:
            after = with_stake(after, replace(stake, lots=lots), at_ms)
    return after


def follow_merges(book: Book, merges: Sequence[LotChange], at_ms: int) -> Book:
    """The book after the head merged lots: in pairs, one taken away whole and added to one that expires later."""
    after = book
    for gone, grown in zip(merges[::2], merges[1::2], strict=True):
        for stake in after.stakes:
            micros = summed(stake.lots).get((gone.origin, gone.expires_at_ms), 0)
            if micros:
                moved = [replace(gone, delta_micros=-micros), replace(grown, delta_micros=micros)]
                after = with_stake(after, replace(stake, lots=rules.apply_changes(stake.lots, moved)), at_ms)
    return after


def rows_between(before: Book, after: Book) -> list[Row]:
    """What one posting did to whose lots, in a fixed order."""
    rows: list[Row] = []
    for user_id in sorted({stake.user_id for book in (before, after) for stake in book.stakes}):
        had, has = _lots_in(before, user_id), _lots_in(after, user_id)
        for origin, expires_at_ms in sorted(had.keys() | has.keys(), key=lambda kind: (kind[0], kind[1] or 0)):
            kind = (origin, expires_at_ms)
            if delta_micros := has.get(kind, 0) - had.get(kind, 0):
                rows.append((user_id, origin, expires_at_ms, delta_micros))
    return rows


def text_of(rows: Sequence[Row]) -> str:
    """Rows as an entry's fact."""
    return msgspec.json.encode(rows).decode()


def rows_from(facts: Mapping[str, str]) -> list[Row]:
    """The rows of an entry's facts; none where the entry moved nothing. Raise ValueError."""
    return msgspec.json.decode(facts.get(SHARES_FACT, "[]"), type=list[Row])


def merged(changes: Sequence[LotChange]) -> list[LotChange]:
    """Changes of the same lot as one."""
    sums: Lots = {}
    for change in changes:
        kind = (change.origin, change.expires_at_ms)
        sums[kind] = sums.get(kind, 0) + change.delta_micros
    return [LotChange(origin, expires_at_ms, micros) for (origin, expires_at_ms), micros in sums.items() if micros]


def _check_lent(book: Book, stake: Stake, amount_micros: int, lent: int, at_ms: int) -> None:
    there = lent_micros_max(book, stake.user_id, at_ms)
    left = limit_left_micros(stake, at_ms)
    spendable = drawable_micros(book, stake.user_id, at_ms)
    if lent > there:
        raise CreditTooLow(needed_micros=amount_micros, spendable_micros=spendable)
    if left is not None and lent > left:
        limit = stake.allowance.limit
        resets = allowances.limit_resets_at_ms(limit, at_ms) if limit else None
        raise SpendLimitReached(needed_micros=amount_micros, spendable_micros=spendable, resets_at_ms=resets)


def _parts_back(change: LotChange, user_id: UserId, drawn: Sequence[Row]) -> dict[UserId, int]:
    kind = (change.origin, change.expires_at_ms)
    lent = [(owner, -micros) for owner, *of, micros in drawn if tuple(of) == kind and owner != user_id]
    to_others = min(change.delta_micros, sum(micros for _, micros in lent))
    parts = split(to_others, [micros for _, micros in lent]) if lent else []
    back = {owner: part for (owner, _), part in zip(lent, parts, strict=True) if part}
    if own := change.delta_micros - to_others:
        back[user_id] = own
    return back


def _lenders(book: Book, user_id: UserId, at_ms: int) -> list[tuple[Stake, int]]:
    """The others who lend their paid credits, and how much they have. Who left wants theirs back and lends nothing."""
    others = [stake for stake in book.stakes if stake.seated and stake.lends and stake.user_id != user_id]
    weighed = [(stake, rules.usable_micros(_paid(stake.lots), at_ms)) for stake in others]
    return [(stake, micros) for stake, micros in weighed if micros]


def _paid(lots: Iterable[Lot]) -> list[Lot]:
    return [lot for lot in lots if lot.origin is Origin.PAID]


def _lots_in(book: Book, user_id: UserId) -> Lots:
    stake = stake_of(book, user_id)
    return summed(stake.lots) if stake else {}


def _is_spent(stake: Stake, at_ms: int) -> bool:
    """Whether a row can be forgotten. One that counts this month is kept: whoever comes back is not new."""
    counted = stake.allowance.counted_at_ms
    since_ms = min(period_start_ms(period, at_ms) for period in (Period.WEEK, Period.MONTH))
    return not stake.seated and not stake.lots and counted < since_ms
