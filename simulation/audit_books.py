"""What the audit promises, checked on each of its notes: it accuses nobody, and comes to the end of every account."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from shared.base.ids import AccountId
from shared.ledger.archive import Stamp
from shared.ledger.marks import Alarm, Mark
from simulation.books import Books
from simulation.folds import band_of
from simulation.judge import Violation


class AuditBooks(Struct):
    """How far each account was walked."""

    books: Books
    cursors: Mapping[int, Stamp]
    walked: dict[AccountId, int] = field(default_factory=dict)
    """The furthest mark of each account; the one that stands may be an older one, which arrived later."""

    def see_mark(self, account_id: AccountId, mark: Mark) -> None:
        """A mark must be where its account once stood."""
        chain = self.books.chains.get(account_id, [])
        stood = chain[mark.seq - 1] if 0 < mark.seq <= len(chain) else ("", 0)
        said = (mark.hash, sum(lot.remaining_micros for lot in mark.lots))
        if said != stood:
            raise Violation(f"the audit's mark {mark.seq} of {account_id} is {said}, which was {stood}")
        self.walked[account_id] = max(mark.seq, self.walked.get(account_id, 0))

    def see_alarm(self, alarm: Alarm) -> None:
        """Nobody tampers with anything."""
        raise Violation(f"the audit accuses {alarm.account_id}: entry {alarm.seq} {alarm.reason}")

    def see_end(self) -> None:
        """When the faults have stopped: every entry was walked, and every cursor is at its band's last change."""
        last: dict[int, Stamp] = {}
        for account_id, head in sorted(self.books.heads.items(), key=_changed):
            walked = self.walked.get(account_id, 0)
            if walked != head["seq"]:
                raise Violation(f"the audit has walked {walked} of the {head['seq']} entries of {account_id}")
            last[band_of(account_id)] = Stamp(*_changed((account_id, head)))
        if self.cursors != last:
            raise Violation(f"the audit's cursors are {self.cursors}, the last changes {last}")


def _changed(item: tuple[AccountId, Mapping[str, Any]]) -> tuple[Any, AccountId]:
    """Where an account stands in the order of changes."""
    account_id, head = item
    return head["posted_at"], account_id
