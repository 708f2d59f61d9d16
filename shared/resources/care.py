"""Looking after keys: those that are due, and those of a provider about which an operator has decided."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.resources import health
from shared.resources.errors import ContributionAbsent, ContributionBusy, PoolingRefused
from shared.resources.models import (
    FINAL_STATUSES,
    ContributedKey,
    HealthEvent,
    KeyId,
    KeyStatus,
    Override,
)
from shared.resources.overrides import Overrides, eligibility_of
from shared.resources.queue import post_validation
from shared.resources.returns import CHANGES_MAX, Returns
from shared.resources.service import Contributions
from shared.resources.store import PAGE_KEYS_MAX, KeyChanged, KeyStore
from shared.tasks.service import Tasks


class CareReport(Struct, frozen=True):
    """What a run of the timer did. `finished`: nothing was left for the next one."""

    posted: int
    returned: int
    finished: bool


class KeyCare:
    """Has keys tried again, and stops those that must not serve."""

    def __init__(
        self,
        store: KeyStore,
        contributions: Contributions,
        overrides: Overrides,
        returns: Returns,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._store = store
        self._contributions = contributions
        self._overrides = overrides
        self._returns = returns
        self._tasks = tasks
        self._clock = clock

    async def run(self) -> CareReport:
        """Have every key tried that is due, and take back advances that are. A repeat finds what is left.

        What cannot be done for one key keeps no other from its turn; its error is raised when all have had theirs.
        """
        now_ms = self._clock()
        due = await self._store.due(now_ms)
        posted = returned = 0
        unfinished: CredenceError | None = None
        for key in due:
            try:
                if key.status in FINAL_STATUSES:
                    await self._returns.take_back(key)
                    returned += 1
                else:
                    await self._have_tried(key, now_ms)
                    posted += 1
            except CredenceError as error:
                write_line("ERROR", "key_not_looked_after", key_id=key.id, code=error.code)
                unfinished = error
        if unfinished is not None:
            raise unfinished
        return CareReport(posted, returned, len(due) < PAGE_KEYS_MAX)

    async def _have_tried(self, key: ContributedKey, now_ms: int) -> None:
        await post_validation(self._tasks, key)
        # If we die before this, the next run posts the same task, which is one.
        await self._change(key.id, lambda one: replace(one, check_at_ms=now_ms + health.RETRY_MS), None)

    async def resume(self, owner: UserId, key_id: KeyId) -> ContributedKey:
        """Have a paused key tried again; it serves once its provider knew it.

        Raise ContributionAbsent, ContributionOver or ContributionBusy; PoolingRefused when keys of its provider are no
        longer taken.
        """
        provider = (await self._contributions.get(owner, key_id)).provider
        if not (eligibility := await eligibility_of(provider, self._overrides)).allowed:
            raise PoolingRefused(provider, eligibility.reason)
        now_ms = self._clock()

        def resumed(key: ContributedKey) -> ContributedKey:
            if key.status is not KeyStatus.PAUSED:
                return key
            return replace(key, status=KeyStatus.COOLING, cool_until_ms=now_ms, check_at_ms=now_ms)

        key = await self._contributions.change(owner, key_id, resumed, "resumed")
        if key.status is KeyStatus.COOLING:
            await post_validation(self._tasks, key)
        return key

    async def decide(self, provider: str, *, allowed: bool, reason: str, by: str) -> int:
        """Let keys of a provider be contributed, or no longer, on the record; how many keys that has stopped.

        A repeat stops what an earlier try did not come to. Raise ContributionBusy or ContributionsUnavailable.
        """
        now_ms = self._clock()
        await self._overrides.put(Override(provider=provider, allowed=allowed, reason=reason, by=by, at_ms=now_ms))
        write_line("WARNING", "pooling_decided", provider=provider, allowed=allowed, by=by)
        return 0 if allowed else await self._stop(provider, now_ms)

    async def _stop(self, provider: str, now_ms: int) -> int:
        stopped, after = 0, None
        while page := await self._store.of_provider(provider, after=after):
            for key in page:
                if key.status in (KeyStatus.ACTIVE, KeyStatus.COOLING):
                    event = HealthEvent(what="paused", why="pooling_not_allowed", at_ms=now_ms)
                    await self._change(key.id, lambda one: replace(one, status=KeyStatus.PAUSED), event)
                    stopped += 1
            after = page[-1].id
        return stopped

    async def _change(
        self, key_id: KeyId, change: Callable[[ContributedKey], ContributedKey], event: HealthEvent | None
    ) -> ContributedKey:
        for _ in range(CHANGES_MAX):
            kept = await self._store.find(key_id)
            if kept is None:
                raise ContributionAbsent
            if kept.key.status in FINAL_STATUSES:
                return kept.key
            after = change(kept.key)
            try:
                await self._store.replace(kept, after, event)
            except KeyChanged:
                continue
            return after
        raise ContributionBusy
