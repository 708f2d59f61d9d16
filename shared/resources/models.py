"""What a contributed key is to us: whose it is, what it may serve, how much of it is left, and how far we trust it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

from shared.base.body import LAST, Body
from shared.base.ids import AccountId, EntryId, UserId
from shared.ledger.models import Origin
from shared.vault.models import Binding, Envelope

KeyId = NewType("KeyId", str)
"""Names a contributed key in paths, logs, facts of receipts and account ids. It tells nothing of the key itself."""

ComplaintId = NewType("ComplaintId", str)

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
    """What settled calls of others have used of the quota: the sum of their prices."""
    own_micros: int = 0
    """What calls of its owner's own have used of it, for which nobody is paid."""
    used_paid_micros: int = 0
    """The part of `used_micros` that callers paid with credits that they had bought."""
    paid_micros: int = 0
    """What settled calls have given the owner in credits that can be paid out, with what they earned of the advance."""
    promo_micros: int = 0
    """The same in promotional credits."""
    calls: int = 0
    """Settled calls."""
    advance_micros: int = 0
    """What was advanced at validation, locked until it is earned."""
    earned_micros: int = 0
    """What use has earned of the advance so far."""
    advance_due: bool = False
    """True while what was not earned of an advance still has to be taken back."""
    status: KeyStatus = KeyStatus.VALIDATING
    trust_ppm: int = 0
    """0..1_000_000, see `health.trust_of`."""
    failures: int = 0
    failures_in_row: int = 0
    """Since its provider last knew it."""
    disputes: int = 0
    """Complaints that count against it."""
    disputes_open: int = 0
    """Those of them that no operator has looked at."""
    calls_before: int = 0
    """Calls that earlier deposits of the same key served: withdrawing it and bringing it again loses no history."""
    created_at_ms: int = 0
    validated_at_ms: int | None = None
    """When its provider last knew it."""
    cool_until_ms: int | None = None
    check_at_ms: int | None = None
    """When the timer looks at it next; None when nothing is left to be done."""
    limits: tuple[tuple[str, str], ...] = ()
    """What its provider says of its own limits, as it says it."""
    sealed: Envelope | None = None
    """None once it was withdrawn, refused or is dead: then there is nothing left to steal."""
    fingerprint: str
    """An HMAC of the secret, the same for the same key, by which a second deposit is found."""
    request_hash: str = ""
    """What the deposit asked for, to tell a repeat from another request under the same idempotency key."""

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


class HealthEvent(Struct, frozen=True, kw_only=True):
    """One line of a key's history, which its owner reads."""

    what: str
    """deposited, validated, refused, failed, paused, resumed, dead, withdrawn, spent, disputed, judged."""
    why: str
    """A stable code or a few words of ours; never a provider's own."""
    at_ms: int


class Defect(StrEnum):
    """What was wrong with a call that somebody complains of."""

    NO_ANSWER = "no_answer"
    CUT_OFF = "cut_off"
    NONSENSE = "nonsense"
    OTHER_MODEL = "other_model"
    """The answer is not that of the model that was asked for."""


class Judgement(Struct, frozen=True, kw_only=True):
    """What an operator decided about a complaint, on the record."""

    upheld: bool
    reason: str
    by: str
    at_ms: int


class Complaint(Struct, frozen=True, kw_only=True):
    """`complaints/{id}`: what somebody says of a call that they paid for and a contributed key served."""

    id: ComplaintId
    key_id: KeyId
    receipt_id: EntryId
    account_id: AccountId
    by: UserId
    defect: Defect
    counts: bool
    """Whether it lowers the key's trust."""
    at_ms: int
    judgement: Judgement | None = None


class Probed(Struct, frozen=True):
    """What a provider said of a key that it knows."""

    models: tuple[str, ...]
    """Those of the models asked about that the key serves, by our ids."""
    limit_micros: int | None = None
    """What is left of the key's own limit, at the catalog's rate; None where the provider says nothing of one."""
    limits: tuple[tuple[str, str], ...] = ()


class Eligibility(Struct, frozen=True):
    """Whether keys of a provider may be contributed, and why."""

    allowed: bool
    reason: str


class Override(Struct, frozen=True, kw_only=True):
    """What an operator decided about a provider's keys, on the record."""

    provider: str
    allowed: bool
    reason: str
    by: str
    at_ms: int


class Trust(Struct, frozen=True):
    """How far a key is trusted, and why."""

    ppm: int
    reasons: tuple[str, ...]


class Use(Struct, frozen=True, kw_only=True):
    """One settled call that a contributed key served, and what it gave."""

    entry_id: EntryId
    model: str
    price: Mapping[Origin, int]
    given: Mapping[Origin, int]
    """What the call's own split gave the key's owner; nothing when it was the owner who called."""


class Earned(Struct, frozen=True, kw_only=True):
    """What a settled window has changed about a key: enough to post it again after a death."""

    calls: int
    price: Mapping[Origin, int]
    owed: Mapping[Origin, int]
    """What is posted to the owner beside what the calls gave: what they earned of the advance, rounding made good."""
    retired_micros: int
    """How much of the advance that retires."""


class ModelEarned(Struct, frozen=True, kw_only=True):
    """One model's part of it, for the owner's eyes."""

    model: str
    calls: int
    price_micros: int
    paid_micros: int
    promo_micros: int


KEY_VALIDATE = "key_validate"
"""The function that tries keys at their providers."""


class KeyValidate(Body, frozen=True, kw_only=True):
    """The task of trying a key. It names the key and carries nothing of it."""

    key_id: Annotated[str, Meta(pattern=rf"^[a-z2-7]{{12}}{LAST}")]
