"""Taking keys in: checked, sealed, kept, and put up to be tried."""

from collections.abc import Mapping

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.base.periods import Period, period_start_ms
from shared.base.secret import Secret
from shared.catalog.models import Modality, Model
from shared.catalog.service import Catalog
from shared.ledger.errors import KeyReused
from shared.providers.models import Provider
from shared.resources import health, rules
from shared.resources.errors import (
    ContributionBusy,
    KeyDuplicate,
    ModelNotServed,
    PoolingRefused,
    ProviderUnknown,
    TooManyDeposits,
    TooManyKeys,
    VideoNotLent,
)
from shared.resources.models import FINAL_STATUSES, ContributedKey, HealthEvent, KeyId, KeyStatus
from shared.resources.overrides import Overrides, eligibility_of
from shared.resources.queue import post_validation
from shared.resources.returns import CHANGES_MAX
from shared.resources.store import Depositor, FingerprintTaken, KeyExists, KeyStore
from shared.tasks.service import Tasks
from shared.vault.service import Vault

KEYS_OPEN_MAX = 20
"""Keys of one person that are not over; more of them are a pool that somebody else runs behind ours."""

DEPOSITS_DAY_MAX = 40
"""Keys that one person brings in a day, those too that are refused: we are nobody's means to try stolen ones."""


class Deposits:
    """Deposits of keys."""

    def __init__(
        self,
        store: KeyStore,
        overrides: Overrides,
        vault: Vault,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._store = store
        self._overrides = overrides
        self._vault = vault
        self._catalog = catalog
        self._providers = providers
        self._tasks = tasks
        self._clock = clock

    async def deposit(
        self, owner: UserId, provider_name: str, models: frozenset[str], quota_micros: int, secret: Secret, *, key: str
    ) -> ContributedKey:
        """Take a key in, sealed, and have it tried. It serves nobody before its provider knew it.

        Raise ProviderUnknown, PoolingRefused, ModelNotServed, VideoNotLent, KeyMalformed, KeyDuplicate, TooManyKeys,
        TooManyDeposits, KeyReused, VaultUnavailable, TasksUnavailable or ContributionsUnavailable.
        """
        provider = self._providers.get(provider_name)
        if provider is None:
            raise ProviderUnknown(provider_name)
        if not (eligibility := await eligibility_of(provider_name, self._overrides)).allowed:
            raise PoolingRefused(provider_name, eligibility.reason)
        served = sorted(self._served(model_id, provider_name).id for model_id in models)
        rules.check_secret(secret)
        fingerprint = self._vault.fingerprint(secret)
        contributed = ContributedKey(
            id=rules.key_id_of(owner, key),
            owner=owner,
            provider=provider_name,
            host=rules.host_of(provider.base_url),
            models=tuple(served),
            quota_micros=quota_micros,
            created_at_ms=self._clock(),
            check_at_ms=self._clock() + health.RETRY_MS,
            fingerprint=fingerprint,
            request_hash=rules.request_hash(provider_name, served, quota_micros, fingerprint),
        )
        kept = await self._kept(contributed) or await self._keep(contributed, secret)
        # If we die before this, the timer finds a key that was never tried.
        if kept.status is KeyStatus.VALIDATING:
            await post_validation(self._tasks, kept)
        return kept

    def _served(self, model_id: str, provider_name: str) -> Model:
        """Raise ModelUnknown, VideoNotLent or ModelNotServed."""
        model = self._catalog.model(model_id)
        if model.modality is Modality.VIDEO:
            raise VideoNotLent(model_id)
        if all(route.provider != provider_name for route in self._catalog.routes(model)):
            raise ModelNotServed(model_id)
        return model

    async def _kept(self, asked: ContributedKey) -> ContributedKey | None:
        """The key of an earlier try of the same request. Raise KeyReused."""
        kept = await self._store.find(asked.id)
        if kept is None:
            return None
        if kept.key.owner != asked.owner or kept.key.request_hash != asked.request_hash:
            raise KeyReused
        return kept.key

    async def _keep(self, asked: ContributedKey, secret: Secret) -> ContributedKey:
        # Before the sealing, which costs a call. A deposit that is made meanwhile has `create` refuse this one.
        depositor = await self._room(asked.owner)
        key = replace(asked, sealed=await self._vault.seal(secret, asked.binding))
        event = HealthEvent(what="deposited", why="", at_ms=key.created_at_ms)
        instead_of: KeyId | None = None
        for _ in range(CHANGES_MAX):
            try:
                await self._store.create(key, event, instead_of=instead_of, depositor=depositor)
            except FingerprintTaken as taken:
                earlier = await self._replaceable(taken.key_id, key.owner)
                instead_of = earlier.id
                if earlier.validated_at_ms is not None:
                    key = health.deposited_again(key, earlier)
            except KeyExists:
                if (kept := await self._kept(asked)) is not None:
                    return kept
                depositor = await self._room(key.owner)
            else:
                write_line(
                    "INFO", "key_deposited", key_id=key.id, provider=key.provider, amount_micros=key.quota_micros
                )
                return key
        raise ContributionBusy

    async def _room(self, owner: UserId) -> Depositor:
        """Raise TooManyDeposits or TooManyKeys.

        The count is read first and written with the key, so of deposits at one moment none is overlooked.
        """
        depositor = await self._store.depositor(owner, period_start_ms(Period.DAY, self._clock()))
        if depositor.deposits >= DEPOSITS_DAY_MAX:
            raise TooManyDeposits(DEPOSITS_DAY_MAX)
        if await self._store.open_of(owner, KEYS_OPEN_MAX) >= KEYS_OPEN_MAX:
            raise TooManyKeys(KEYS_OPEN_MAX)
        return depositor

    async def _replaceable(self, key_id: KeyId, owner: UserId) -> ContributedKey:
        """The earlier deposit of the same secret, if this one may take its place. Raise KeyDuplicate."""
        earlier = await self._store.find(key_id)
        if earlier is None:
            raise ContributionBusy
        over = earlier.key.status in FINAL_STATUSES
        # What was refused was never proved to be a key. What once served stays its depositor's.
        if over and (earlier.key.owner == owner or earlier.key.status is KeyStatus.REFUSED):
            return earlier.key
        raise KeyDuplicate
