"""Pure decisions about the welcome bonus: which stage a person may have."""

from collections.abc import Mapping, Sequence

from shared.accounts.models import Stage, StageStatus
from shared.base.economy import WELCOME_STAGES
from shared.base.ids import UserId
from shared.risk.models import Signal, SignalKind

STAGE_SIGNALS = {"email": SignalKind.EMAIL, "phone": SignalKind.PHONE}
"""What has to be proved for a stage. The stage that is not here waits for what can prove the first paid use."""


def welcome_stages(
    signals: Sequence[Signal], holders: Mapping[SignalKind, UserId], user_id: UserId
) -> tuple[Stage, ...]:
    """Where each stage stands for a user who is known by the signals, which the holders have claimed.

    A stage whose signal the user holds is theirs, for they had it or get it now. No further one is while any signal is
    somebody else's: all that anybody is known by must be new, or theirs.
    """
    others = [signal.kind for signal in signals if holders.get(signal.kind, user_id) != user_id]
    known = {signal.kind for signal in signals}
    stages = []
    for stage in WELCOME_STAGES:
        kind = STAGE_SIGNALS.get(stage.name)
        if kind is not None and kind in known and holders.get(kind) == user_id:
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.GRANTED))
        elif others and (kind is None or kind in known):
            reason = f"{others[0].value}_claimed"
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.CLAIMED, reason))
        else:
            stages.append(Stage(stage.name, stage.amount_micros, StageStatus.WAITING))
    return tuple(stages)
