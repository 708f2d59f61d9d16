"""Pure decisions: who somebody is known by, which marks count, and when a limit is reached."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from shared.base.secret import Secret
from shared.risk.limits import (
    CARD_USERS_MAX,
    CHECKOUT_LIMITS,
    DECISIONS_MAX,
    KEPT_MS,
    MARKS_MAX,
    REFUNDS_PER_YEAR_MAX,
    YEAR_MS,
    Limit,
)
from shared.risk.models import (
    Decision,
    DecisionRecord,
    Mark,
    MarkSort,
    Refusal,
    Signal,
    SignalKind,
    SignalName,
    Trace,
)

NAME_CHARS = 40
"""A hundred and sixty bits of a keyed hash."""
IPV6_PREFIX_BITS = 64
"""What one customer gets at least, and may draw addresses from as they please."""
FORWARDED_CHARS_MAX = 2_048
_DEVICE = re.compile(r"[A-Za-z0-9_.:-]{8,128}")
_PHONE = re.compile(r"\+[1-9][0-9]{4,14}")
_PLURALS = {MarkSort.ORDER: "orders", MarkSort.DECLINE: "declines", MarkSort.USED_BY: "payments"}
"""What there is too much of, in the names of limits."""
_IGNORES_DOTS = frozenset({"gmail.com"})
_SAME_MAILBOX = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
"""Domains under which a provider delivers to one mailbox."""


def signal_of(key: Secret, kind: SignalKind, text: str) -> Signal:
    """The signal that a text stands for. Of the text nothing is kept."""
    digest = hmac.new(key.reveal().encode(), f"credence.risk.v1:{kind.value}:{text}".encode(), hashlib.sha256)
    return Signal(kind, SignalName(digest.hexdigest()[:NAME_CHARS]))


def client_address(forwarded_for: str, *, from_end: int) -> str | None:
    """The client's network in `X-Forwarded-For`, or None where nothing that we trust says it.

    A proxy appends, so all that stands further left is the client's own word. Cloud Run's front end appends one
    address: the last one is the client. A load balancer of Google's appends two, the client's and its own, so there it
    is the last but one (https://docs.cloud.google.com/load-balancing/docs/https#x-forwarded-for_header).
    """
    parts = [part.strip() for part in forwarded_for.split(",")] if len(forwarded_for) <= FORWARDED_CHARS_MAX else []
    if len(parts) < from_end:
        return None
    try:
        address = ipaddress.ip_address(parts[-from_end])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(address), IPV6_PREFIX_BITS), strict=False))
        address = address.ipv4_mapped
    return str(address)


def device_of(text: str) -> str | None:
    """The device's name, if it has the form of one."""
    return text if _DEVICE.fullmatch(text) else None


def phone_of(text: str) -> str | None:
    """A verified number in its one international form (E.164), as Firebase keeps it."""
    return text if _PHONE.fullmatch(text) else None


def mailbox_of(email: str) -> str:
    """One text for all addresses that lead to one mailbox.

    Case, quotes, `+tags`, Gmail's dots and other names of one domain make new addresses for free, so they make no new
    person.
    """
    local, _, domain = email.strip().rstrip(".").casefold().rpartition("@")
    domain = _ascii(domain)
    domain = _SAME_MAILBOX.get(domain, domain)
    local = local.replace('"', "").partition("+")[0]
    if domain in _IGNORES_DOTS:
        local = local.replace(".", "")
    return f"{local}@{domain}"


def marked(trace: Trace, marks: Iterable[Mark], *, at_ms: int) -> Trace:
    """The trace with the marks on it, each once, and without those that no longer count."""
    once: dict[tuple[MarkSort, str], Mark] = {}
    for mark in (*trace.marks, *marks):
        once.setdefault((mark.sort, mark.name), mark)
    kept = [mark for mark in once.values() if at_ms - mark.at_ms < KEPT_MS[mark.sort]]
    for sort in MarkSort:
        too_old = [mark for mark in kept if mark.sort is sort][:-MARKS_MAX]
        kept = [mark for mark in kept if mark not in too_old]
    return replace(trace, marks=tuple(kept))


def unmarked(trace: Trace, sort: MarkSort, name: str) -> Trace:
    """The trace as if this had not happened."""
    kept = tuple(mark for mark in trace.marks if (mark.sort, mark.name) != (sort, name))
    return replace(trace, marks=kept)


def checkout_refusal(traces: Sequence[Trace], *, at_ms: int) -> Refusal | None:
    """The limit that leaves the longest to wait, if any is reached."""
    reached = [
        Refusal(f"{trace.signal.kind.value}_{_PLURALS[limit.sort]}", wait_ms)
        for trace in traces
        for limit in CHECKOUT_LIMITS.get(trace.signal.kind, ())
        if (wait_ms := _wait_ms(trace, limit, at_ms)) > 0
    ]
    return max(reached, key=lambda refusal: refusal.retry_after_ms, default=None)


def refund_refusal(trace: Trace, *, at_ms: int) -> Refusal | None:
    """Whether a buyer gave back as much this year as the policy allows."""
    wait_ms = _wait_ms(trace, Limit(MarkSort.REFUND, REFUNDS_PER_YEAR_MAX, YEAR_MS), at_ms)
    return Refusal("refunds_per_year", wait_ms) if wait_ms > 0 else None


def card_doubt(card: Trace, user: SignalName, *, at_ms: int) -> str | None:
    """Why what this user pays for with the card waits for a person; None when it need not.

    The first users of a card keep the place they had, so a repeat of the question has the same answer.
    """
    valid = [mark for mark in card.marks if at_ms - mark.at_ms < KEPT_MS[mark.sort]]
    if any(mark.sort is MarkSort.FRAUD for mark in valid):
        return "card_fraud"
    tried = checkout_refusal([card], at_ms=at_ms)
    if tried is not None:
        return tried.rule
    users = list(dict.fromkeys(_user_in(mark) for mark in valid if mark.sort is MarkSort.USED_BY))
    return "card_shared" if user not in users[:CARD_USERS_MAX] else None


def use_of(user: SignalName, payment: str) -> str:
    """The name of the mark that a payment by this user leaves on a card."""
    return f"{user}:{payment}"


def cards_of(user: Trace) -> list[Signal]:
    """The cards that a user paid with, oldest first."""
    names = dict.fromkeys(mark.name for mark in user.marks if mark.sort is MarkSort.PAID_WITH)
    return [Signal(SignalKind.CARD, SignalName(name)) for name in names]


def added(record: DecisionRecord, decision: Decision) -> DecisionRecord:
    """The record with the decision in it, once."""
    if any(known.decision_id == decision.decision_id for known in record.decisions):
        return record
    if len(record.decisions) >= DECISIONS_MAX:
        return replace(record, left_out=record.left_out + 1)
    return replace(record, decisions=(*record.decisions, decision))


def _wait_ms(trace: Trace, limit: Limit, at_ms: int) -> int:
    """How long until one more fits below the limit; 0 when it does."""
    times = sorted(mark.at_ms for mark in trace.marks if mark.sort is limit.sort)
    counting = [time_ms for time_ms in times if at_ms - time_ms < limit.window_ms]
    if len(counting) < limit.marks_max:
        return 0
    return counting[-limit.marks_max] + limit.window_ms - at_ms


def _user_in(mark: Mark) -> str:
    return mark.name.partition(":")[0]


def _ascii(domain: str) -> str:
    """The form in which mail servers know it."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
