"""Who asks for a call and how, and what came of it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from shared.base.ids import AccountId, RequestId, UserId
from shared.catalog.models import Route
from shared.metering.models import BeforeCharge, Charge, Usage
from shared.routing.models import NO_PREFERENCE, Preference


class Asking(Struct, frozen=True, kw_only=True):
    """Whose account pays for a call, under which request, for which models, and over which routes."""

    account_id: AccountId
    request_id: RequestId
    models_allowed: frozenset[str] | None = None
    """None for all of them."""
    preference: Preference = NO_PREFERENCE
    payers: frozenset[UserId] = frozenset()
    """Whose credits may be spent: the owner of the wallet or card, and whoever of a pool lent to a session. No key of
    theirs serves the call."""
    left: Callable[[], Awaitable[None]] | None = None
    """Returns once nobody waits for the answer any more. None where nobody can leave, as of a job."""
    isolated: bool = False
    """Whether answers are never shared with others, even where an operator lets accounts share them."""
    before_charge: BeforeCharge | None = None
    """For a caller that keeps the answer: told of the charge before it is made."""


class Answered(Struct, frozen=True):
    """A whole answer in OpenAI's shape, its charge, and headers that tell the charge and the route."""

    body: dict[str, Any]
    charge: Charge
    headers: Mapping[str, str]


class Whole(Struct, frozen=True):
    """The same before it is told: by which route it came, and for what was charged. Without a usage it was free."""

    body: dict[str, Any]
    route: Route
    usage: Usage | None
    charge: Charge
    headers: Mapping[str, str]
