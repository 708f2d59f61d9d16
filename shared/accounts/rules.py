"""Pure decisions about the welcome bonus: which stage a person may have."""

from collections.abc import Mapping, Sequence

from shared.accounts.models import Stage, StageStatus
from shared.base.economy import WELCOME_STAGES
from shared.base.ids import UserId
from shared.ledger.models import SPENDING_KINDS, Entry, Lot, Origin
from shared.risk.models import PROVED, Signal, SignalKind

STAGE_SIGNALS = {"email": SignalKind.EMAIL, "phone": SignalKind.PHONE}
"""What has to be proved for a stage. The stage that is not here is for the first use that bought credits paid for."""


def is_paid_use(entry: Entry) -> bool:
    """Whether credits that were paid for were used, and not just sent on: gifts are spent first, so none were left."""
    is_use = entry.kind in SPENDING_KINDS
    return is_use and any(change.origin is Origin.PAID and change.delta_micros < 0 for change in entry.lots)


def may_show_paid_use(lots: Sequence[Lot]) -> bool:
    """Whether it is worth a look at what was used. Gifts are spent first: while nothing but gifts is left, the last use
    was of a gift, and what was paid for and used before it shows once they are gone, or more is bought.
    """
    return not lots or any(lot.origin is Origin.PAID for lot in lots)


def welcome_stages(
    signals: Sequence[Signal], holders: Mapping[SignalKind, UserId], user_id: UserId, *, has_used: bool = False
) -> tuple[Stage, ...]:
    """Where each stage stands for a user who is known by the signals, which the holders have claimed.

    A stage whose signal the user holds is theirs, for they had it or get it now. No further one is while any signal is
    somebody else's: all that anybody is known by must be new, or theirs. The last one asks for use besides.
    """
    others = [signal.kind for signal in signals if holders.get(signal.kind, user_id) != user_id]
    known = {signal.kind for signal in signals}
    held = {kind for kind in known if holders.get(kind) == user_id}
    has_earned = has_used and not others and not PROVED.isdisjoint(held)
    stages = []
    for stage in WELCOME_STAGES:
        kind = STAGE_SIGNALS.get(stage.name)
        if has_earned if kind is None else kind in held:
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.GRANTED))
        elif others and (kind is None or kind in known):
            reason = f"{others[0].value}_claimed"
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.CLAIMED, reason))
        else:
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.WAITING))
    return tuple(stages)
