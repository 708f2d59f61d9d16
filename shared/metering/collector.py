"""Makes the charges that could not be made when their answers were delivered. Called by the timer `charge_collect`."""

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.ledger.service import Ledger
from shared.metering.store import OwedCharges

CHARGES_MAX = 500
"""Of one run; the next goes on."""


class CollectReport(Struct, frozen=True):
    """What a run did."""

    collected: int
    left: int


class Collector:
    """Collects what is owed."""

    def __init__(self, ledger: Ledger, owed: OwedCharges) -> None:
        self._ledger = ledger
        self._owed = owed

    async def run(self) -> CollectReport:
        """Charge each once, into debt if need be: it was delivered. Raise OwedUnavailable."""
        charges = await self._owed.waiting(CHARGES_MAX)
        collected = 0
        for charge in charges:
            try:
                await self._ledger.capture_late(
                    charge.account_id,
                    charge.hold_id,
                    charge.amount_micros,
                    facts=charge.facts,
                    shares=charge.shares,
                )
            except CredenceError as error:
                # It stays, and is tried again; one account that cannot be written must not keep the others waiting.
                write_line(
                    "ERROR", "charge_still_owed", account=charge.account_id, hold=charge.hold_id, code=error.code
                )
                continue
            # If we die before this, the next run finds the charge made, and only forgets it.
            await self._owed.remove(charge.hold_id)
            write_line("INFO", "charge_collected", account=charge.account_id, hold=charge.hold_id)
            collected += 1
        return CollectReport(collected, len(charges) - collected)
