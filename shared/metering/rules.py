"""Pure arithmetic of prices, quotes and charges."""

from collections.abc import Mapping

from shared.metering.models import Quote, TokenPrice, Usage

TOKENS_PER_MTOK = 1_000_000
TOKENS_MAX = 10**9
"""No call uses more; a provider that reports more has its report capped before it is multiplied."""


def cost_micros(price: TokenPrice, prompt_tokens: int, completion_tokens: int) -> int:
    """The price of so many tokens, rounded up to a whole micro once, at the end."""
    total = prompt_tokens * price.prompt_micros_per_mtok + completion_tokens * price.completion_micros_per_mtok
    return -(-total // TOKENS_PER_MTOK)


def quote(price: TokenPrice, *, prompt_tokens_max: int, completion_tokens_max: int, choices: int) -> Quote:
    """The worst case of a call: every prompt token there can be, every choice as long as it is allowed to get."""
    amount_micros = cost_micros(price, prompt_tokens_max, completion_tokens_max * choices)
    return Quote(price, prompt_tokens_max, completion_tokens_max, choices, amount_micros)


def affordable_completion_tokens(call: Quote, spendable_micros: int) -> int:
    """The most output per choice that `spendable_micros` covers with this prompt; 0 when not even the prompt fits."""
    left = spendable_micros * TOKENS_PER_MTOK - call.prompt_tokens_max * call.price.prompt_micros_per_mtok
    return max(0, left // (call.price.completion_micros_per_mtok * call.choices))


def charge_micros(call: Quote, usage: Usage) -> int:
    """What the usage costs, and never more than was quoted, whatever the provider says it was."""
    return min(call.amount_micros, priced_micros(call, usage))


def priced_micros(call: Quote, usage: Usage) -> int:
    """Tokens times prices, before the hold caps it."""
    prompt_tokens, completion_tokens = min(usage.prompt_tokens, TOKENS_MAX), min(usage.completion_tokens, TOKENS_MAX)
    return cost_micros(call.price, prompt_tokens, completion_tokens)


def receipt_facts(call: Quote, usage: Usage, facts: Mapping[str, str | int]) -> dict[str, str]:
    """What the receipt says of the charge, beside what its caller says of the call."""
    told: dict[str, str | int] = {
        **facts,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "usage_source": usage.source.value,
        "prompt_micros_per_mtok": call.price.prompt_micros_per_mtok,
        "completion_micros_per_mtok": call.price.completion_micros_per_mtok,
        "held_micros": call.amount_micros,
    }
    if (priced := priced_micros(call, usage)) > call.amount_micros:
        # Whoever multiplies tokens by prices must find why it comes to more than the charge.
        told |= {"priced_micros": priced, "capped_by": "hold"}
    return {name: str(value) for name, value in told.items()}
