"""What a contributed key is to us: whose it is, what it may serve, how much of it is left, and how far we trust it."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.ids import AccountId, UserId
from shared.vault.models import Binding, Envelope

KeyId = NewType("KeyId", str)
"""Names a contributed key in paths, logs, facts of receipts and account ids. It tells nothing of the key itself."""

KEY_FACT = "contributed_key"
"""The fact of a capture that names the key which served the call. Settlement finds by it what the key has served."""


class KeyStatus(StrEnum):
    """Where a contributed key stands. Only an active one serves calls."""

    VALIDATING = "validating"
    """Deposited and not yet tried at its provider."""
    ACTIVE = "active"
    PAUSED = "paused"
    """Its owner wants it left alone for now."""
    COOLING = "cooling"
    """It failed; it is left alone until `cool_until_ms`, and tried again before it serves anybody."""
    REFUSED = "refused"
    """Its provider never knew it, or it serves none of the models it was deposited for."""
    DEAD = "dead"
    """It was good once, and its provider knows it no longer."""
    WITHDRAWN = "withdrawn"
    """Its owner took it back: the sealed secret is gone."""
    SPENT = "spent"
    """Its quota is used up."""


FINAL_STATUSES = frozenset({KeyStatus.REFUSED, KeyStatus.DEAD, KeyStatus.WITHDRAWN, KeyStatus.SPENT})


class ContributedKey(Struct, frozen=True, kw_only=True):
    """`resources/{key_id}`: a contributed key with all that only we may read of it.

    Choice writes `leased_micros`, which only ever grows; all else is written by the flow of this package.
    """

    id: KeyId
    owner: UserId
    provider: str
    """The name of a provider of this deployment; the key is sent to that provider's configured address only."""
    host: str
    """The host of that address when the key was sealed. A provider that moved is another host, where no key opens."""
    models: tuple[str, ...]
    """Our ids of the models that it may serve."""
    quota_micros: int
    """What it may serve altogether, in micros at the price of the catalog."""
    leased_micros: int = 0
    """What was handed out of the quota to processes, whether or not they used it."""
    returned_micros: int = 0
    """What of that came back unused. Grows like it; both are written by choice alone."""
    used_micros: int = 0
    """What settled calls have used of the quota: the sum of their prices."""
    advance_micros: int = 0
    """What was advanced at validation, locked until it is earned."""
    earned_micros: int = 0
    """What use has earned of the advance so far."""
    status: KeyStatus = KeyStatus.VALIDATING
    trust_ppm: int = 0
    """0..1_000_000, see `rules.trust_of`."""
    successes: int = 0
    failures: int = 0
    disputes: int = 0
    created_at_ms: int = 0
    validated_at_ms: int | None = None
    """When its provider last knew it."""
    cool_until_ms: int | None = None
    sealed: Envelope | None = None
    """None once it was withdrawn, refused or is dead: then there is nothing left to steal."""
    fingerprint: str
    """An HMAC of the secret, the same for the same key, by which a second deposit is found."""

    @property
    def binding(self) -> Binding:
        """What the sealed secret opens under."""
        return Binding(owner=self.owner, provider=self.provider, host=self.host)

    @property
    def earn_id(self) -> AccountId:
        """Where its owner's shares go."""
        return AccountId(f"earn:{self.owner}")

    @property
    def advance_id(self) -> AccountId:
        """Where the advance lies that use has not earned yet. Nobody spends from it."""
        return AccountId(f"escrow:advance-{self.id}")
