"""What is known of who buys and who signs up: signals of a person, the marks they leave, and decisions about them."""

from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.ids import UserId

SignalName = NewType("SignalName", str)
"""A keyed hash: without our key nobody learns from it, or checks by guessing, what it stands for."""
Subject = NewType("Subject", str)
"""What a decision is about: `order:{id}`, `user:{uid}` or `account:{account id}`."""


class SignalKind(StrEnum):
    """By what a person is known again."""

    USER = "user"
    ADDRESS = "address"
    """Of the network they come from."""
    DEVICE = "device"
    """As the client names it. Anybody can send another one, so it may deny something and never earns anything."""
    CARD = "card"
    """The fingerprint that a payment provider gives to a card's number."""
    EMAIL = "email"
    PHONE = "phone"


PROVED = frozenset({SignalKind.EMAIL, SignalKind.PHONE})
"""What somebody showed to be theirs."""


class Signal(Struct, frozen=True):
    """One thing by which a person is known again."""

    kind: SignalKind
    name: SignalName


class ClientClaim(Struct, frozen=True):
    """What a request says of where it comes from, word for word."""

    forwarded_for: str = ""
    device: str = ""


class MarkSort(StrEnum):
    """What happened."""

    ORDER = "order"
    DECLINE = "decline"
    PAID_WITH = "paid_with"
    """On a user: by which card they paid."""
    USED_BY = "used_by"
    """On a card: who paid with it."""
    FRAUD = "fraud"
    """On a card: its bank says that a payment was fraud, or took one back."""
    REFUND = "refund"
    """On a user: an order that they gave back."""


class Mark(Struct, frozen=True):
    """That something happened. The same thing, by its name, is marked once."""

    sort: MarkSort
    name: str
    at_ms: int


class Trace(Struct, frozen=True):
    """All marks of one signal that still count, oldest first."""

    signal: Signal
    marks: tuple[Mark, ...] = ()


class Refusal(Struct, frozen=True):
    """Which limit is reached, and when there is room again."""

    rule: str
    retry_after_ms: int


class Decision(Struct, frozen=True, kw_only=True):
    """What was decided, by which rule and by whom. `decision_id` makes a repeat the same decision."""

    decision_id: str
    rule: str
    outcome: str
    by: str
    at_ms: int


class DecisionRecord(Struct, frozen=True, kw_only=True):
    """All that was decided of one subject. Only ever added to; what does not fit is counted."""

    owner: UserId
    decisions: tuple[Decision, ...] = ()
    left_out: int = 0
