"""What contributed keys earned, kept from what settlement reads anyway: nothing is scanned.

Settlement tells of each window until it was heard, so a death anywhere repeats to the same: a window is counted in one
commit with the key it is about, and what that makes due is posted under the window's own name.
"""

from collections.abc import Mapping, Sequence

from shared.base.log import write_line
from shared.ledger.advances import Advances
from shared.ledger.errors import AccountAbsent
from shared.ledger.models import Entry
from shared.ledger.settling import Window
from shared.resources import health, rules
from shared.resources.errors import ContributionBusy
from shared.resources.models import ContributedKey, Earned, KeyId, Use
from shared.resources.returns import Returns
from shared.resources.store import KeyChanged, KeyStore
from shared.resources.windows import WindowStore

CHANGES_MAX = 20
"""Tries of one window against leases of the same key, which choice takes now and then."""


class ContributionBooks:
    """Reads windows for settlement."""

    def __init__(self, store: KeyStore, windows: WindowStore, advances: Advances, returns: Returns) -> None:
        self._store = store
        self._windows = windows
        self._advances = advances
        self._returns = returns

    def wants(self, entry: Entry) -> bool:
        """Charges for calls that a contributed key served."""
        return rules.key_served(entry) is not None

    async def settled(self, window: Window, entries: Sequence[Entry]) -> None:
        """Count the window for each key, and pay what of their advances its calls have earned.

        Raise ContributionBusy, ContributionsUnavailable or LedgerUnavailable, which repeat the window.
        """
        by_key: dict[KeyId, list[Entry]] = {}
        for entry in entries:
            if (key_id := rules.key_served(entry)) is not None:
                by_key.setdefault(key_id, []).append(entry)
        for key_id, served in sorted(by_key.items()):
            await self._settle(key_id, window, served)

    async def _settle(self, key_id: KeyId, window: Window, entries: Sequence[Entry]) -> None:
        for _ in range(CHANGES_MAX):
            kept = await self._store.find(key_id)
            if kept is None:
                # Nobody's key: what its calls gave is settled all the same, and a person should know.
                write_line("ERROR", "contributed_key_unknown", key_id=key_id, entries=len(entries))
                return
            uses = [rules.use_of(entry, kept.key.earn_id) for entry in entries]
            if (earned := await self._windows.earned(key_id, window)) is not None:
                await self._pay(kept.key, window, earned, uses)
                return
            after, earned = rules.take_in(kept.key, uses)
            after = health.trusted(after, int(window.ends_at.timestamp()) * 1000)
            models = rules.by_model([use for use in uses if use.given], earned.owed)
            try:
                await self._windows.count(kept, after, window, earned, models)
            except KeyChanged:
                continue
            # If we die here, the window is told again, and what it made due stands in its document.
            await self._pay(after, window, earned, uses)
            return
        raise ContributionBusy

    async def _pay(self, key: ContributedKey, window: Window, earned: Earned, uses: Sequence[Use]) -> None:
        name = f"{window.band}:{window.start_s}"
        if any(earned.owed.values()) or earned.retired_micros:
            facts: dict[str, str | int] = {
                "reason": "advance earned",
                "earned_by_key": key.id,
                "calls": earned.calls,
                "window": name,
            }
            try:
                await self._earn(key, earned, name, facts)
            except AccountAbsent:
                # It served before anything was lent on it.
                await self._advances.lend(key.advance_id, 0, facts={})
                await self._earn(key, earned, name, facts)
        await self._windows.drop_pending(key.id, [use.entry_id for use in uses])
        await self._returns.take_back(key)
        write_line("INFO", "contribution_settled", key_id=key.id, calls=earned.calls, window=name)

    async def _earn(self, key: ContributedKey, earned: Earned, name: str, facts: Mapping[str, str | int]) -> None:
        await self._advances.earn(
            key.advance_id,
            key.earn_id,
            earned.owed,
            retired_micros=earned.retired_micros,
            key=name,
            facts=facts,
        )
