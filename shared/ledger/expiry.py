"""Moves what expired into house:breakage. Called by the timer `credit_expire`, bounded in each run.

Nobody waits for it: expired credits are spent by no call from the moment they expire, swept or not.
"""

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.base.log import write_line
from shared.base.together import all_of
from shared.ledger.administration import Administration
from shared.ledger.documents import BANDS
from shared.ledger.errors import HoldsOpen, NothingExpired
from shared.ledger.lapsed import Lapsed

ACCOUNTS_MAX = 500
"""Of one band in one run; the next goes on."""
AT_ONCE = 16


class ExpiryReport(Struct, frozen=True):
    """What a run did."""

    expired: int
    waiting: int
    """Accounts that could not be swept now: a call under way may still pay with what expired, or there was a fault."""
    finished: bool


class Expiry:
    """Sweeps accounts."""

    def __init__(self, administration: Administration, lapsed: Lapsed, clock: Clock) -> None:
        self._administration = administration
        self._lapsed = lapsed
        self._clock = clock

    async def run(self) -> ExpiryReport:
        """Sweep each account once. A run that died in between leaves the rest to the next. Raise StoreUnavailable."""
        at_ms = self._clock()
        bands = await all_of(self._lapsed.expired(band, at_ms, ACCOUNTS_MAX) for band in range(BANDS))
        due = [account_id for band in bands for account_id in band]
        swept = 0
        for first in range(0, len(due), AT_ONCE):
            swept += sum(await all_of(self._sweep(one, at_ms) for one in due[first : first + AT_ONCE]))
        finished = all(len(band) < ACCOUNTS_MAX for band in bands)
        return ExpiryReport(swept, len(due) - swept, finished)

    async def _sweep(self, account_id: AccountId, at_ms: int) -> bool:
        try:
            posted = await self._administration.expire(account_id, at_ms)
        except NothingExpired:
            # Another run was faster.
            return True
        except HoldsOpen:
            return False
        except CredenceError as error:
            write_line("ERROR", "expiry_failed", account=account_id, code=error.code)
            return False
        write_line("INFO", "credits_expired", account=account_id, amount_micros=-posted.entry.delta_micros)
        return True
