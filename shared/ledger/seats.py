"""The operations on who is in a pool: seat members, limit them, let them lend or not, and end it all. Heads only."""

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import UserId
from shared.ledger import shares
from shared.ledger.models import Book, Head, SpendLimit, Stake
from shared.ledger.operation import Entries, HeadOnly, Heads, Step, present
from shared.ledger.pool_errors import PoolEnding, PoolFull, StakesOnly


class Seated(Struct, frozen=True):
    """The outcome of seating somebody, or of changing their limit."""

    stake: Stake


class Ended(Struct, frozen=True):
    """The outcome of beginning to close a pool."""

    book: Book


def book_of(head: Head) -> Book:
    """The book of a pool. Raise StakesOnly for any other account."""
    if head.book is None:
        raise StakesOnly
    return head.book


class Seat(HeadOnly, frozen=True):
    """Make somebody a member. Writes the head only. Raise PoolFull or PoolEnding."""

    user_id: UserId
    limit: SpendLimit | None
    """On what they draw of the others' credits."""
    members_max: int
    at_ms: int
    relimit: bool = False
    """Change the limit of who is a member already; otherwise theirs stays, or joining again would lift it."""

    def apply(self, heads: Heads) -> Step[Seated]:
        head = present(heads, self.account_id)
        book = book_of(head)
        if book.closing:
            raise PoolEnding
        stake = shares.stake_of(book, self.user_id) or Stake(self.user_id, seated=False)
        if stake.seated and not self.relimit:
            return Step((), (), Seated(stake))
        seats = sum(one.seated for one in book.stakes)
        if not stake.seated and (seats >= self.members_max or len(book.stakes) >= shares.STAKES_MAX):
            raise PoolFull
        # Whoever comes back is counted on from where they were.
        stake = replace(stake, seated=True, allowance=replace(stake.allowance, limit=self.limit))
        after = replace(head, book=shares.with_stake(book, stake, self.at_ms))
        return Step((after,), (), Seated(stake))

    def recall(self, heads: Heads, entries: Entries) -> Seated | None:
        head = heads.get(self.account_id)
        stake = shares.stake_of(head.book, self.user_id) if head and head.book else None
        if stake is None or not stake.seated or (self.relimit and stake.allowance.limit != self.limit):
            return None
        return Seated(stake)


class SetLending(HeadOnly, frozen=True):
    """Let the others draw a member's paid credits from now on, or not. Writes the head only. Raise StakeAbsent."""

    user_id: UserId
    lends: bool
    at_ms: int

    def apply(self, heads: Heads) -> Step[Seated]:
        head = present(heads, self.account_id)
        book = book_of(head)
        stake = replace(shares.seated(book, self.user_id), lends=self.lends)
        return Step((replace(head, book=shares.with_stake(book, stake, self.at_ms)),), (), Seated(stake))

    def recall(self, heads: Heads, entries: Entries) -> Seated | None:
        head = heads.get(self.account_id)
        stake = shares.stake_of(head.book, self.user_id) if head and head.book else None
        return Seated(stake) if stake and stake.seated and stake.lends is self.lends else None


class EndPool(HeadOnly, frozen=True):
    """Take everybody's seat, so that nothing more is put in or drawn. Writes the head only."""

    def apply(self, heads: Heads) -> Step[Ended]:
        head = present(heads, self.account_id)
        book = book_of(head)
        stakes = tuple([replace(stake, seated=False) for stake in book.stakes])
        ended = replace(book, stakes=stakes, closing=True)
        return Step((replace(head, book=ended),), (), Ended(ended))

    def recall(self, heads: Heads, entries: Entries) -> Ended | None:
        head = heads.get(self.account_id)
        return Ended(head.book) if head and head.book and head.book.closing else None
