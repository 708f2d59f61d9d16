"""Pure decisions: whose an account is by its name, and whether it is to be frozen by what operators decided."""

from collections.abc import Sequence

from shared.base.ids import AccountId, UserId
from shared.ledger.errors import KeyReused
from shared.ledger.models import account_class
from shared.risk.models import Decision, Subject

FREEZE, UNFREEZE = "account_freeze", "account_unfreeze"
NAMED_BY_OWNER = frozenset({"user", "earn"})
"""Accounts whose name ends with their owner's."""


def name_in(account_id: AccountId) -> str:
    """What follows the class."""
    return account_id.partition(":")[2]


def owner_named(account_id: AccountId) -> UserId | None:
    """Whose the account is, where its name says so."""
    return UserId(name_in(account_id)) if account_class(account_id) in NAMED_BY_OWNER else None


def subject_of(account_id: AccountId) -> Subject:
    """The record of what was decided of an account."""
    return Subject(f"account:{account_id}")


def repeated(decisions: Sequence[Decision], wanted: Decision) -> Decision | None:
    """The decision that was made under this id before. Raise KeyReused if it was another one."""
    for known in decisions:
        if known.decision_id == wanted.decision_id:
            if (known.rule, known.outcome) != (wanted.rule, wanted.outcome):
                raise KeyReused
            return known
    return None


def is_frozen(decisions: Sequence[Decision]) -> bool:
    """What the latest decision says."""
    return bool(decisions) and decisions[-1].rule == FREEZE


def reason_among(own: Sequence[Decision], owners: Sequence[Decision]) -> Decision | None:
    """What keeps an account frozen, or was the last to let it go: decided of itself, or of its owner's wallet.

    Either freezes it, and only both together let it go. None when nothing was ever decided.
    """
    frozen = [decisions[-1] for decisions in (own, owners) if is_frozen(decisions)]
    latest = sorted((decisions[-1] for decisions in (own, owners) if decisions), key=lambda one: one.at_ms)
    return frozen[0] if frozen else latest[-1] if latest else None
