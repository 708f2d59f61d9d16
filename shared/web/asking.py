"""What a caller asks of a model's call beside its body: who pays, which models, which routes."""

from shared.calls.models import Asking
from shared.routing.rules import preference_of
from shared.web.auth import Caller


def asking(caller: Caller) -> Asking:
    """Raise PreferenceUnknown for a header `x-credence-route` that says nothing known."""
    return Asking(
        account_id=caller.account_id,
        request_id=caller.request_id,
        models_allowed=caller.models_allowed,
        preference=preference_of(caller.route_asked),
        payers=caller.payers(),
        left=caller.left,
        isolated=caller.card is not None and caller.card.session is not None,
    )
