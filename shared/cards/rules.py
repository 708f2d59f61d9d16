"""Pure decisions about cards: how keys look, when one is good, and what of a card may change."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Struct, structs

from shared.base.ids import CARD_KEY_PREFIX, UserId
from shared.base.periods import Period
from shared.base.secret import Secret
from shared.cards.errors import CardClosed, CardExpired, CardFrozen, CardKeyWrong, CardNotReady
from shared.cards.models import Card, CardId, CardRecord, CardStatus, Changes, Standing, Terms
from shared.ledger.allowances import left_micros, resets_at_ms, used_micros
from shared.ledger.models import Head
from shared.ledger.rules import held_micros, spendable_micros

CARD_ID_CHARS = 12
"""Sixty bits: two cards of one id are a matter of chance, and the later one is refused."""
SECRET_BYTES = 32
_KEY = re.compile(CARD_KEY_PREFIX + r"([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_NO_HASH = "0" * 64


class CardKey(Struct, frozen=True):
    """A key taken apart."""

    card_id: CardId
    secret: Secret


def parse_key(token: str) -> CardKey:
    """Raise CardKeyWrong for what has not the form of a key."""
    parts = _KEY.fullmatch(token)
    if parts is None:
        raise CardKeyWrong
    return CardKey(CardId(parts[1]), Secret(parts[2]))


def format_key(card_id: CardId, secret: Secret) -> Secret:
    """The key that is shown once."""
    return Secret(f"{CARD_KEY_PREFIX}{card_id}_{secret.reveal()}")


def card_id_of(owner: UserId, idempotency_key: str) -> CardId:
    """The id of the card that this request creates: a repeat names the same card, so none is created twice."""
    return card_id_from(hashlib.sha256(f"credence.card.v1:{len(owner)}:{owner}:{idempotency_key}".encode()).digest())


def session_id_of(owner: UserId, idempotency_key: str) -> CardId:
    """The same for a session: never the id of a card that was made with the same key."""
    return card_id_from(hashlib.sha256(f"credence.session.v1:{len(owner)}:{owner}:{idempotency_key}".encode()).digest())


def card_id_from(raw: bytes) -> CardId:
    """An id out of at least eight bytes that look random."""
    return CardId(base64.b32encode(raw).decode().lower()[:CARD_ID_CHARS])


def hash_secret(secret: Secret) -> str:
    """What is stored of a secret.

    One round of SHA-256 and no slow hash: those make up for passwords that can be guessed, and nobody guesses 256
    random bits. A slow one would cost every call more than all the rest of the gateway.
    """
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def check_secret(record: CardRecord | None, secret: Secret) -> CardRecord:
    """Raise CardKeyWrong unless the secret is the card's. No card, or a wrong secret, takes as long as a right one."""
    expected = record.key_hash if record else _NO_HASH
    if not hmac.compare_digest(hash_secret(secret), expected) or record is None:
        raise CardKeyWrong
    return record


def check_usable(card: Card, at_ms: int) -> None:
    """Raise CardClosed, CardFrozen, CardExpired or CardKeyWrong unless the card may be used now."""
    match card.status:
        case CardStatus.OPEN:
            expires_at_ms = card.terms.expires_at_ms
            if expires_at_ms is not None and expires_at_ms <= at_ms:
                raise CardExpired(expired_at_ms=expires_at_ms)
        case CardStatus.FROZEN:
            raise CardFrozen
        case CardStatus.CLOSING | CardStatus.CLOSED:
            raise CardClosed
        case CardStatus.OPENING:
            # Its key was not shown to anybody yet, and may still be replaced.
            raise CardKeyWrong


def check_changeable(card: Card) -> None:
    """Raise CardClosed or CardNotReady unless its owner may change or fund the card. An expired one they may revive."""
    match card.status:
        case CardStatus.OPEN | CardStatus.FROZEN:
            return
        case CardStatus.OPENING:
            raise CardNotReady
        case CardStatus.CLOSING | CardStatus.CLOSED:
            raise CardClosed


def changed(card: Card, changes: Changes) -> Card:
    """The card with what the changes name; the rest as it was."""
    named = {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}
    frozen = named.pop("frozen", card.status is CardStatus.FROZEN)
    status = CardStatus.FROZEN if frozen else CardStatus.OPEN
    return structs.replace(card, status=status, terms=structs.replace(card.terms, **named))


def request_hash(terms: Terms, amount_micros: int) -> str:
    """All that makes two creations the same, but their time."""
    fields: Sequence[object] = (
        terms.name,
        terms.limit,
        terms.refill,
        None if terms.models is None else sorted(terms.models),
        terms.expires_at_ms,
        amount_micros,
    )
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()


def standing_of(head: Head, at_ms: int) -> Standing:
    """How the card's account stands."""
    held = held_micros(head, at_ms)
    return Standing(
        balance_micros=head.balance_micros,
        held_micros=held,
        spendable_micros=spendable_micros(head, at_ms),
        spent_micros=head.spent_micros,
        day_micros=used_micros(head, Period.DAY, at_ms),
        week_micros=used_micros(head, Period.WEEK, at_ms),
        month_micros=used_micros(head, Period.MONTH, at_ms),
        limit_left_micros=left_micros(head, held, at_ms),
        resets_at_ms=resets_at_ms(head, at_ms),
    )
