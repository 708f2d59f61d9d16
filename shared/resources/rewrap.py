"""Wrapping the data keys of all contributed keys anew, after the key-encryption key was rotated: `credence rewrap`.

It may die anywhere and run again, or twice at once: what is wrapped by the primary version already is left alone.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from shared.base.log import write_line
from shared.resources.errors import ContributionBusy
from shared.resources.models import ContributedKey, KeyId
from shared.resources.returns import CHANGES_MAX
from shared.resources.store import KeyChanged, KeyStore
from shared.vault.errors import VaultSealed
from shared.vault.rotation import Rotation


class RewrapReport(Struct, frozen=True):
    """How far it has come."""

    seen: int = 0
    rewrapped: int = 0
    sealed: int = 0
    """Keys that do not open: changed in the store, or wrapped by a version that is gone. A person must look."""


class Rewrap:
    """Goes through all keys, page by page."""

    def __init__(self, store: KeyStore, rotation: Rotation, tell: Callable[[RewrapReport], None]) -> None:
        """`tell` hears of progress after each page."""
        self._store = store
        self._rotation = rotation
        self._tell = tell

    async def run(self) -> RewrapReport:
        """Raise ContributionsUnavailable, ContributionBusy or VaultUnavailable; what was done stays done."""
        primary = await self._rotation.primary_version()
        report, after = RewrapReport(), None
        while page := await self._store.all(after=after):
            for key in page:
                report = await self._one(key, primary, report)
            after = page[-1].id
            self._tell(report)
        return report

    async def _one(self, key: ContributedKey, primary: str, report: RewrapReport) -> RewrapReport:
        seen = replace(report, seen=report.seen + 1)
        if key.sealed is None or key.sealed.version == primary:
            return seen
        try:
            await self._rewrap(key.id, primary)
        except VaultSealed:
            write_line("ERROR", "key_does_not_open", key_id=key.id)
            return replace(seen, sealed=seen.sealed + 1)
        return replace(seen, rewrapped=seen.rewrapped + 1)

    async def _rewrap(self, key_id: KeyId, primary: str) -> None:
        for _ in range(CHANGES_MAX):
            kept = await self._store.find(key_id)
            if kept is None or kept.key.sealed is None or kept.key.sealed.version == primary:
                return
            sealed = await self._rotation.rewrap(kept.key.sealed, kept.key.binding)
            try:
                await self._store.replace(kept, replace(kept.key, sealed=sealed), None)
            except KeyChanged:
                continue
            return
        raise ContributionBusy
