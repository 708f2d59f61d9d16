"""Who asks for a call and how, and what came of it."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from shared.base.ids import AccountId, RequestId
from shared.metering.models import Charge
from shared.routing.models import NO_PREFERENCE, Preference


class Asking(Struct, frozen=True, kw_only=True):
    """Whose account pays for a call, under which request, for which models, and over which routes."""

    account_id: AccountId
    request_id: RequestId
    models_allowed: frozenset[str] | None = None
    """None for all of them."""
    preference: Preference = NO_PREFERENCE


class Answered(Struct, frozen=True):
    """A whole answer in OpenAI's shape, its charge, and headers that tell the charge and the route."""

    body: dict[str, Any]
    charge: Charge
    headers: Mapping[str, str]
