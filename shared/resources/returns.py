"""Taking back what keys that are over have not earned of their advances."""

from msgspec.structs import replace

from shared.base.log import write_line
from shared.ledger.advances import Advances
from shared.resources.errors import ContributionBusy
from shared.resources.models import ContributedKey
from shared.resources.store import KeyChanged, KeyStore

CHANGES_MAX = 5
"""Tries of one change against others of the same key at the same moment."""


class Returns:
    """Advances on their way back to the house."""

    def __init__(self, store: KeyStore, advances: Advances) -> None:
        self._store = store
        self._advances = advances

    async def take_back(self, key: ContributedKey) -> ContributedKey:
        """Take back what a key that is over has not earned, once, and note that it was done. Raise ContributionBusy.

        The owner never had it, so nothing is ever owed back: it was locked until it was earned.
        """
        if not key.advance_due:
            return key
        await self.take_back_now(key)
        # If we die before this, the timer finds that nothing is left to be taken.
        for _ in range(CHANGES_MAX):
            kept = await self._store.find(key.id)
            if kept is None or not kept.key.advance_due:
                return kept.key if kept else key
            after = replace(kept.key, advance_due=False, check_at_ms=None)
            try:
                await self._store.replace(kept, after, None)
            except KeyChanged:
                continue
            return after
        raise ContributionBusy

    async def take_back_now(self, key: ContributedKey) -> None:
        """Take back what lies there, whatever the record says of it."""
        facts = {"reason": "advance not earned", "contributed_key_over": key.id}
        if back_micros := await self._advances.take_back(key.advance_id, facts=facts):
            write_line("INFO", "advance_taken_back", key_id=key.id, amount_micros=back_micros)
