"""How a client is told of a chat's charge: the usage with its cost, events of a stream."""

import json
from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.calls.service import told_cost
from shared.chat.models import Tally
from shared.metering.models import Charge, Usage, UsageSource


def usage_with_cost(tally: Tally, usage: Usage | None, charge: Charge) -> dict[str, Any]:
    """The counts that were charged, with our cost beside them: credits as a number for tools, and exact micros."""
    told = dict(tally.reported or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    if usage and usage.source is UsageSource.ESTIMATED:
        completion_tokens = usage.count(Unit.COMPLETION_TOKEN)
        told |= {"prompt_tokens": usage.prompt_tokens, "completion_tokens": completion_tokens}
        told["total_tokens"] = usage.prompt_tokens + completion_tokens
    return {**told, **told_cost(charge)}


def told_event(data: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"
