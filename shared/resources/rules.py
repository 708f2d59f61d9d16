"""Pure rules of contributed keys: what a call pays whom, what an advance is and earns, what may be deposited."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec.structs import replace

from shared.base.economy import LIST_CREDITS_PER_DOLLAR
from shared.base.ids import AccountId, EntryId, UserId
from shared.base.micros import credits_to_micros, split
from shared.base.secret import Secret
from shared.ledger.models import HOUSE_REVENUE, Entry, EntryKind, Origin, Share
from shared.ledger.rules import by_origin
from shared.resources.errors import KeyMalformed
from shared.resources.models import (
    KEY_FACT,
    ComplaintId,
    ContributedKey,
    Earned,
    KeyId,
    KeyStatus,
    ModelEarned,
    Use,
)

PPM = 1_000_000
OWNER_PPM = 850_000
"""The owner's part of what their key served, in millionths of the price."""
ADVANCED_PPM = 100_000
"""The part of that which is advanced at validation and earned by use."""
RELEASED_WEIGHT, PLATFORM_WEIGHT = 765, 235
"""How the capture itself is split: 0.85 x 0.9 to the owner. What of the advance the call earns is posted when it is
settled, out of the platform's weight, which keeps 15 % then."""
KEY_ID_CHARS = 12
"""Sixty bits: two keys of one id are a matter of chance, and the later one is refused."""
_SECRET = re.compile(r"[\x21-\x7e]{8,512}")


def shares_of(key: ContributedKey) -> tuple[Share, ...]:
    """The split of a call that the key served. The platform comes first, for it takes what rounding leaves."""
    return (Share(HOUSE_REVENUE, PLATFORM_WEIGHT), Share(key.earn_id, RELEASED_WEIGHT))


def advance_of(quota_micros: int) -> int:
    """What is advanced for a quota: a tenth of 85 % of it, rounded down."""
    return quota_micros * OWNER_PPM * ADVANCED_PPM // (PPM * PPM)


def owed_for(*, used_paid_micros: int, used_promo_micros: int) -> dict[Origin, int]:
    """What the owner has for so much use in all: 85 % of the sum, the odd micro in promotional credits."""
    whole = (used_paid_micros + used_promo_micros) * OWNER_PPM // PPM
    paid = used_paid_micros * OWNER_PPM // PPM
    return {Origin.PAID: paid, Origin.PROMO: whole - paid}


def retired_for(*, advance_micros: int, quota_micros: int, used_micros: int) -> int:
    """How much of an advance so much use has earned in all: in proportion, and all of it at the end."""
    return advance_micros * min(used_micros, quota_micros) // quota_micros


def key_served(entry: Entry) -> KeyId | None:
    """The contributed key that served the call which an entry charges for; None for all other entries.

    The fact is written by us alone: no field of a request becomes a fact of a capture.
    """
    served = dict(entry.facts).get(KEY_FACT) if entry.kind is EntryKind.CAPTURE else None
    return KeyId(served) if served else None


def use_of(entry: Entry, earner: AccountId) -> Use:
    """What such an entry says of the call, and what it gave the key's owner: others may have had a share as well."""
    given: dict[Origin, int] = {}
    for leg in entry.legs:
        if leg.account_id == earner:
            given[leg.origin] = given.get(leg.origin, 0) + leg.amount_micros
    model = dict(entry.facts).get("model", "")
    return Use(entry_id=entry.entry_id, model=model, price=by_origin(entry.lots), given=given)


def take_in(key: ContributedKey, uses: Sequence[Use]) -> tuple[ContributedKey, Earned]:
    """The key after a window in which it served these calls, and what that makes due.

    A call that gave its owner nothing was the owner's own: it uses the quota and earns nothing. What is due follows
    from all use so far, so it is exact at every moment, whatever single calls were rounded to.
    """
    paying = [use for use in uses if use.given]
    price, given = _sum(use.price for use in paying), _sum(use.given for use in paying)
    own = key.own_micros + sum(sum(use.price.values()) for use in uses if not use.given)
    used_paid = key.used_paid_micros + price.get(Origin.PAID, 0)
    used = key.used_micros + sum(price.values())
    target = owed_for(used_paid_micros=used_paid, used_promo_micros=used - used_paid)
    owed = {
        Origin.PAID: target[Origin.PAID] - key.paid_micros - given.get(Origin.PAID, 0),
        Origin.PROMO: target[Origin.PROMO] - key.promo_micros - given.get(Origin.PROMO, 0),
    }
    earned = retired_for(advance_micros=key.advance_micros, quota_micros=key.quota_micros, used_micros=used)
    after = replace(
        key,
        used_micros=used,
        own_micros=own,
        used_paid_micros=used_paid,
        paid_micros=target[Origin.PAID],
        promo_micros=target[Origin.PROMO],
        calls=key.calls + len(uses),
        earned_micros=earned,
    )
    if used + own >= key.quota_micros and key.status in (KeyStatus.ACTIVE, KeyStatus.COOLING, KeyStatus.PAUSED):
        after = ended(after, KeyStatus.SPENT)
    return after, Earned(calls=len(uses), price=price, owed=owed, retired_micros=earned - key.earned_micros)


def ended(key: ContributedKey, status: KeyStatus) -> ContributedKey:
    """The key for good: nothing of the secret is kept, and what was not earned of the advance is due."""
    is_due = key.advance_micros > key.earned_micros
    return replace(
        key,
        status=status,
        sealed=None,
        cool_until_ms=None,
        advance_due=is_due,
        # The timer takes back what the one who ended it did not live to take back.
        check_at_ms=0 if is_due else None,
    )


def by_model(uses: Sequence[Use], owed: Mapping[Origin, int]) -> list[ModelEarned]:
    """What a window's calls earned, model by model; what is posted beside the calls follows their prices.

    Without any call nothing is due.
    """
    models = sorted({use.model for use in uses})
    of_model = {model: [use for use in uses if use.model == model] for model in models}
    given = {model: _sum(use.given for use in of_model[model]) for model in models}
    prices = {model: sum(sum(use.price.values()) for use in of_model[model]) for model in models}
    for origin, amount in owed.items() if uses else ():
        sign = -1 if amount < 0 else 1
        for model, part in zip(models, split(abs(amount), [prices[model] for model in models]), strict=True):
            given[model][origin] = given[model].get(origin, 0) + sign * part
    return [
        ModelEarned(
            model=model,
            calls=len(of_model[model]),
            price_micros=prices[model],
            paid_micros=given[model].get(Origin.PAID, 0),
            promo_micros=given[model].get(Origin.PROMO, 0),
        )
        for model in models
    ]


def check_secret(secret: Secret) -> None:
    """Raise KeyMalformed for what no header can carry or no provider hands out."""
    if not _SECRET.fullmatch(secret.reveal()):
        raise KeyMalformed


def key_id_of(owner: UserId, idempotency_key: str) -> KeyId:
    """The id of the key that this request deposits: a repeat names the same one."""
    digest = hashlib.sha256(f"credence.contribution.v1:{len(owner)}:{owner}:{idempotency_key}".encode()).digest()
    return KeyId(base64.b32encode(digest).decode().lower()[:KEY_ID_CHARS])


def complaint_id_of(account_id: AccountId, receipt_id: EntryId) -> ComplaintId:
    """The id of the one complaint about a call; entries of two accounts may have one id."""
    digest = hashlib.sha256(f"credence.complaint.v1:{len(account_id)}:{account_id}:{receipt_id}".encode())
    return ComplaintId(digest.hexdigest())


def request_hash(provider: str, models: Iterable[str], quota_micros: int, fingerprint: str) -> str:
    """What makes two deposits the same request. The key stands in it as its fingerprint."""
    parts = [provider, str(quota_micros), fingerprint, *sorted(models)]
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def host_of(base_url: str) -> str:
    """The host of a configured address in its one spelling, with its port where it names one."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    return host if parts.port is None else f"{host}:{parts.port}"


def dollars_to_micros(dollars: float) -> int:
    """What a provider's dollars are worth at the catalog's rate; less than nothing is nothing."""
    return max(0, int(dollars * credits_to_micros(LIST_CREDITS_PER_DOLLAR)))


def _sum(amounts: Iterable[Mapping[Origin, int]]) -> dict[Origin, int]:
    total: dict[Origin, int] = {}
    for one in amounts:
        for origin, amount in one.items():
            total[origin] = total.get(origin, 0) + amount
    return total
