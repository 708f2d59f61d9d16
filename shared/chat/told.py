"""How a client is told of the charge: headers, the usage with its cost, events of a stream."""

import json
from collections.abc import Mapping
from typing import Any

from shared.base.micros import CREDIT_MICROS
from shared.base.units import Unit
from shared.chat.models import Tally
from shared.metering.models import Charge, Usage, UsageSource


def charge_headers(charge: Charge) -> dict[str, str]:
    """What was charged, and where the proof is."""
    headers = {"x-credence-cost-micros": str(charge.amount_micros)}
    if charge.entry_id is not None:
        headers["x-credence-receipt"] = charge.entry_id
        headers["x-credence-balance-micros"] = str(charge.balance_micros)
    return headers


def usage_with_cost(tally: Tally, usage: Usage | None, charge: Charge) -> dict[str, Any]:
    """The counts that were charged, with our cost beside them: credits as a number for tools, and exact micros."""
    told = dict(tally.reported or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    if usage and usage.source is UsageSource.ESTIMATED:
        completion_tokens = usage.count(Unit.COMPLETION_TOKEN)
        told |= {"prompt_tokens": usage.prompt_tokens, "completion_tokens": completion_tokens}
        told["total_tokens"] = usage.prompt_tokens + completion_tokens
    details = {"charged_micros": charge.amount_micros, "receipt_id": charge.entry_id}
    return {**told, "cost": charge.amount_micros / CREDIT_MICROS, "cost_details": details}


def told_event(data: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
