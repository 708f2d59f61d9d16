"""Whether an account's head says more than was logged of it."""

from shared.base.log import write_line
from shared.ledger.models import Head
from shared.proof.log import LoggedHead


def is_news(head: Head, logged: LoggedHead | None) -> bool:
    """Whether a head says more than was logged of it. One that went back is no news but an alarm."""
    if logged is None or head.seq > logged.statement.seq:
        return True
    if head.seq < logged.statement.seq or head.hash != logged.statement.hash:
        write_line("CRITICAL", "log_head_rewritten", account=head.account_id, seq=head.seq)
    return False
