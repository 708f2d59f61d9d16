"""Trying keys at their providers, when they are deposited and again and again: the task `key_validate`.

A task may come twice or at once: each change is written over exactly what was read, and the advance is lent under the
key's own name.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.base.log import write_line
from shared.base.secret import Secret
from shared.catalog.models import CHAT_MODALITIES
from shared.catalog.service import Catalog
from shared.ledger.advances import Advances
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.providers.models import Provider
from shared.resources import health, rules
from shared.resources.errors import ContributionBusy, ValidationPending
from shared.resources.models import FINAL_STATUSES, ContributedKey, HealthEvent, KeyId, KeyStatus, Probed
from shared.resources.overrides import Overrides, eligibility_of
from shared.resources.returns import Returns
from shared.resources.store import KeptKey, KeyChanged, KeyStore
from shared.vault.errors import VaultSealed
from shared.vault.service import Vault


class Probe(Protocol):
    """Asks a provider. Raise UpstreamBusy or UpstreamUnavailable, whose fault says why."""

    async def probe(
        self, provider: Provider, secret: Secret, names: Mapping[str, str], chats: frozenset[str]
    ) -> Probed:
        """Which of the models the key may call: `names` has the provider's name of each by ours."""


class Validation:
    """Tries keys."""

    def __init__(
        self,
        store: KeyStore,
        overrides: Overrides,
        vault: Vault,
        catalog: Catalog,
        providers: Mapping[str, Provider],
        probe: Probe,
        advances: Advances,
        returns: Returns,
        clock: Clock,
    ) -> None:
        self._store = store
        self._overrides = overrides
        self._vault = vault
        self._catalog = catalog
        self._providers = providers
        self._probe = probe
        self._advances = advances
        self._returns = returns
        self._clock = clock

    async def validate(self, key_id: KeyId) -> None:
        """Try one key and write down what came of it.

        Raise ValidationPending when a new key's provider cannot be asked, which brings the task back; ContributionBusy,
        VaultUnavailable, LedgerUnavailable or ContributionsUnavailable.
        """
        kept = await self._store.find(key_id)
        if kept is None:
            return
        if kept.key.status in FINAL_STATUSES:
            # It may have ended between a try and what that try lent.
            await self._returns.take_back_now(kept.key)
            return
        if why := await self._forbidden(kept.key):
            await self._write(kept, replace(kept.key, status=KeyStatus.PAUSED, check_at_ms=None), "paused", why)
            return
        try:
            probed = await self._ask(kept.key)
        except (UpstreamBusy, UpstreamUnavailable) as error:
            await self._failed(kept, error.fault)
        except VaultSealed:
            write_line("ERROR", "key_does_not_open", key_id=key_id)
            await self._end(kept, "does_not_open")
        else:
            await self._found(kept, probed)

    async def _forbidden(self, key: ContributedKey) -> str:
        """Why the key must not be sent anywhere now; empty when it may."""
        provider = self._providers.get(key.provider)
        if provider is None:
            return "provider_gone"
        if rules.host_of(provider.base_url) != key.host:
            return "provider_moved"
        return "" if (await eligibility_of(key.provider, self._overrides)).allowed else "pooling_not_allowed"

    async def _ask(self, key: ContributedKey) -> Probed:
        if key.sealed is None:
            raise VaultSealed("there is no secret any more")
        names, chats = {}, set()
        for model_id in key.models:
            model = self._catalog.row(model_id)
            for route in self._catalog.routes(model):
                if route.provider == key.provider:
                    names[model_id] = route.model
            if model.modality in CHAT_MODALITIES:
                chats.add(model_id)
        secret = await self._vault.open(key.sealed, key.binding)
        return await self._probe.probe(self._providers[key.provider], secret, names, frozenset(chats))

    async def _found(self, kept: KeptKey, probed: Probed) -> None:
        key = kept.key
        if not probed.models and key.validated_at_ms is not None:
            # It served before, so the list may be wrong and not the key.
            await self._failed(kept, Fault.DENIED)
            return
        if not probed.models:
            await self._end(kept, "serves_no_model")
            return
        if key.validated_at_ms is None and probed.limit_micros == 0:
            await self._end(kept, "limit_used_up")
            return
        known = health.validated(key, probed, self._clock())
        if key.validated_at_ms is None:
            # Still validating: if we die after this, the next try lends the same advance and goes on.
            await self._write(kept, known, "validated", f"{len(probed.models)} models")
            kept = await self._find(key.id)
            known = kept.key
        if known.status in (KeyStatus.VALIDATING, KeyStatus.COOLING):
            facts = {"reason": "advance on a contributed key", "contributed_key": key.id}
            await self._advances.lend(known.advance_id, known.advance_micros, facts=facts)
            known = replace(known, status=KeyStatus.ACTIVE)
        await self._write(kept, known, "active" if known.status is KeyStatus.ACTIVE else "validated", "")

    async def _failed(self, kept: KeptKey, fault: Fault) -> None:
        key, now_ms = kept.key, self._clock()
        is_new = key.validated_at_ms is None
        if fault is Fault.KEY or (is_new and fault is Fault.DENIED):
            await self._end(kept, "unknown_to_provider" if fault is Fault.KEY else "denied_by_provider")
        elif is_new and now_ms - key.created_at_ms > health.UNKNOWN_MAX_MS:
            await self._end(kept, "provider_unreachable")
        elif is_new:
            # A busy or broken provider says nothing of a key, and an owner who waits counts no failure.
            raise ValidationPending(key.provider)
        else:
            after = health.failed(key, now_ms, fatal=False)
            await self._write(kept, after, "dead" if after.status in FINAL_STATUSES else "failed", fault.value)
            await self._returns.take_back(after)

    async def _end(self, kept: KeptKey, why: str) -> None:
        after = health.failed(kept.key, self._clock(), fatal=True)
        await self._write(kept, after, after.status.value, why)
        # If we die before this, the timer takes the advance back.
        await self._returns.take_back(after)

    async def _write(self, kept: KeptKey, after: ContributedKey, what: str, why: str) -> None:
        """Raise ContributionBusy when the key changed meanwhile: the task comes again and looks anew."""
        try:
            await self._store.replace(kept, after, HealthEvent(what=what, why=why, at_ms=self._clock()))
        except KeyChanged:
            raise ContributionBusy from None
        write_line("INFO", "key_looked_at", key_id=after.id, status=after.status.value, why=why)

    async def _find(self, key_id: KeyId) -> KeptKey:
        kept = await self._store.find(key_id)
        if kept is None or kept.key.status in FINAL_STATUSES:
            raise ContributionBusy
        return kept
