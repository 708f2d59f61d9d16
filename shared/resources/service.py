"""What owners do with the keys they contribute: see, pause, withdraw. Every verb may be repeated."""

from collections.abc import Callable

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.resources import rules
from shared.resources.errors import ContributionAbsent, ContributionBusy, ContributionOver
from shared.resources.models import FINAL_STATUSES, ContributedKey, HealthEvent, KeyId, KeyStatus
from shared.resources.returns import CHANGES_MAX, Returns
from shared.resources.store import KeptKey, KeyChanged, KeyStore

Change = Callable[[ContributedKey], ContributedKey]


class Contributions:
    """Keys of people, as their owners handle them."""

    def __init__(self, store: KeyStore, returns: Returns, clock: Clock) -> None:
        self._store = store
        self._returns = returns
        self._clock = clock

    async def get(self, owner: UserId, key_id: KeyId) -> ContributedKey:
        """One of the owner's keys. Raise ContributionAbsent, for somebody else's as for none."""
        return (await self._owned(owner, key_id)).key

    async def owned_by(self, owner: UserId, *, after: KeyId | None) -> list[ContributedKey]:
        """A page of the owner's keys, those that are over too."""
        return await self._store.owned_by(owner, after=after)

    async def pause(self, owner: UserId, key_id: KeyId) -> ContributedKey:
        """Leave the key alone from the next choice on. Raise ContributionAbsent, ContributionOver, ContributionBusy."""

        def paused(key: ContributedKey) -> ContributedKey:
            if key.status is KeyStatus.VALIDATING:
                # It would become active when its provider has answered; its owner may withdraw it.
                raise ContributionBusy
            return replace(key, status=KeyStatus.PAUSED)

        return await self.change(owner, key_id, paused, "paused")

    async def withdraw(self, owner: UserId, key_id: KeyId) -> ContributedKey:
        """Give the key up: its secret is deleted at once, and what was not earned of its advance is taken back.

        What calls under way were sent is with the provider; they are settled as ever. Raise ContributionAbsent or
        ContributionBusy.
        """
        kept = await self._owned(owner, key_id)
        key = kept.key
        if key.status not in FINAL_STATUSES:
            key = await self.change(owner, key_id, lambda one: rules.ended(one, KeyStatus.WITHDRAWN), "withdrawn")
        # If we die before this, a repeat or the timer takes it back.
        return await self._returns.take_back(key)

    async def _owned(self, owner: UserId, key_id: KeyId) -> KeptKey:
        kept = await self._store.find(key_id)
        if kept is None or kept.key.owner != owner:
            raise ContributionAbsent
        return kept

    async def change(self, owner: UserId, key_id: KeyId, change: Change, what: str) -> ContributedKey:
        """Change one of the owner's keys that is not over. Raise ContributionAbsent, ContributionOver or
        ContributionBusy.
        """
        for _ in range(CHANGES_MAX):
            kept = await self._owned(owner, key_id)
            if kept.key.status in FINAL_STATUSES:
                raise ContributionOver(kept.key.status.value)
            after = change(kept.key)
            if after == kept.key:
                return after
            try:
                await self._store.replace(kept, after, HealthEvent(what=what, why="owner", at_ms=self._clock()))
            except KeyChanged:
                continue
            write_line("INFO", f"key_{what}", key_id=key_id)
            return after
        raise ContributionBusy
