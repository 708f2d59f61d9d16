"""What a checkpoint finds to log: which accounts were posted to, and whether there is more to say of them."""

from collections.abc import Mapping, Sequence

from shared.base.ids import AccountId
from shared.base.log import write_line
from shared.ledger.archive import Changes, Stamp
from shared.ledger.audit import may_pass
from shared.ledger.models import Head
from shared.proof.log import LoggedHead, Statement


class News:
    """Statements to log, how far the cursors may move, and how much more a run may look at."""

    def __init__(self, cursors: Mapping[int, Stamp], accounts_max: int) -> None:
        self.statements: dict[AccountId, Statement] = {}
        """By account, because one that is posted to meanwhile may come up on two pages."""
        self.cursors = dict(cursors)
        self.read_until = dict(cursors)
        """Where the next page of each band begins; a cursor stays behind it."""
        self.finished = True
        self._left = accounts_max

    def take(self, band: int, page: Changes) -> Sequence[AccountId]:
        """The accounts on a page that this run may still look at; moves the band's cursor as far as it may go."""
        stamps = page.stamps[: self._left]
        self._left -= len(stamps)
        self.finished = self.finished and len(stamps) == len(page.stamps)
        for stamp in stamps:
            # A cursor stays behind what may yet become visible before it; see CURSOR_MARGIN.
            if self.cursors.get(band) == self.read_until.get(band) and may_pass(stamp, page.read_at):
                self.cursors[band] = stamp
            self.read_until[band] = stamp
        return [stamp.account_id for stamp in stamps]


def is_news(head: Head, logged: LoggedHead | None) -> bool:
    """Whether a head says more than was logged of it. One that went back is no news but an alarm."""
    if logged is None or head.seq > logged.statement.seq:
        return True
    if head.seq < logged.statement.seq or head.hash != logged.statement.hash:
        write_line("CRITICAL", "log_head_rewritten", account=head.account_id, seq=head.seq)
    return False
