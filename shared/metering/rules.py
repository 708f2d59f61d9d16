"""Pure arithmetic of prices, quotes and charges."""

from collections.abc import Mapping

from shared.base.units import PROMPT_KINDS, UNITS_PER_RATE, Counts, Rates, Unit
from shared.metering.models import DEMAND_NEUTRAL_PPM, Quote, Usage

COUNT_MAX = 10**9
"""No call uses more of anything; a provider that reports more has its report capped before it is multiplied."""


def cost_micros(rates: Rates, counts: Counts, demand_ppm: int = DEMAND_NEUTRAL_PPM) -> int:
    """The price of what was counted, rounded up to a whole micro once, at the end."""
    total = sum(count * rate_of(rates, unit) for unit, count in counts.items()) * demand_ppm
    return -(-total // (UNITS_PER_RATE * DEMAND_NEUTRAL_PPM))


def rate_of(rates: Rates, unit: Unit) -> int:
    """What a unit costs. Parts of a prompt without a rate of their own cost what a prompt costs."""
    return rates.get(unit, rates.get(Unit.PROMPT_TOKEN, 0) if unit in PROMPT_KINDS else 0)


def quote(
    rates: Rates,
    counts_max: Counts,
    *,
    choices: int = 1,
    demand_ppm: int = DEMAND_NEUTRAL_PPM,
    price_version: str = "",
    demand_rule: str = "",
) -> Quote:
    """The worst case of a call: as much of each unit as there can be, the prompt at the dearest of its kinds."""
    amount_micros = cost_micros(_dearest(rates), counts_max, demand_ppm)
    return Quote(rates, counts_max, choices, demand_ppm, price_version, amount_micros, demand_rule)


def at_demand(call: Quote, demand_ppm: int, rule: str = "") -> Quote:
    """The same call at another demand, or at what a `rule` has put in its place."""
    return quote(
        call.rates,
        call.counts_max,
        choices=call.choices,
        demand_ppm=demand_ppm,
        price_version=call.price_version,
        demand_rule=rule,
    )


def affordable_completion_tokens(call: Quote, spendable_micros: int) -> int | None:
    """The most output per choice that `spendable_micros` covers with the rest of this call; 0 when not even the rest
    fits, None when the call has no output to shorten.
    """
    rate = call.rates.get(Unit.COMPLETION_TOKEN)
    if not rate or Unit.COMPLETION_TOKEN not in call.counts_max:
        return None
    rest = {unit: count for unit, count in call.counts_max.items() if unit is not Unit.COMPLETION_TOKEN}
    dearest = _dearest(call.rates)
    covered = spendable_micros * UNITS_PER_RATE * DEMAND_NEUTRAL_PPM // call.demand_ppm
    left = covered - sum(count * rate_of(dearest, unit) for unit, count in rest.items())
    return max(0, left // (rate * call.choices))


def charge_micros(call: Quote, usage: Usage) -> int:
    """What the usage costs, and never more than was quoted, whatever the provider says it was."""
    return min(call.amount_micros, priced_micros(call, usage))


def priced_micros(call: Quote, usage: Usage) -> int:
    """Counts times rates, before the hold caps it."""
    counts = {unit: min(count, COUNT_MAX) for unit, count in usage.counts.items()}
    return cost_micros(call.rates, counts, call.demand_ppm)


def receipt_facts(call: Quote, usage: Usage, facts: Mapping[str, str | int]) -> dict[str, str]:
    """What the receipt says of the charge, beside what its caller says of the call: counts times rates, per million."""
    told: dict[str, str | int] = {**facts, "usage_source": usage.source.value, "held_micros": call.amount_micros}
    for unit, count in usage.counts.items():
        told[unit.value] = count
        told[f"{unit.value}_rate"] = rate_of(call.rates, unit)
    if call.price_version:
        told["price_version"] = call.price_version
    if call.demand_ppm != DEMAND_NEUTRAL_PPM:
        told["demand_ppm"] = call.demand_ppm
    if call.demand_rule:
        told["demand_rule"] = call.demand_rule
    if (priced := priced_micros(call, usage)) > call.amount_micros:
        # Whoever multiplies counts by rates must find why it comes to more than the charge.
        told |= {"priced_micros": priced, "capped_by": "hold"}
    return {name: str(value) for name, value in told.items()}


def _dearest(rates: Rates) -> Rates:
    """The rates with a prompt at the dearest of its kinds: nobody knows before what a provider's cache will do."""
    if Unit.PROMPT_TOKEN not in rates:
        return rates
    return {**rates, Unit.PROMPT_TOKEN: max(rate_of(rates, unit) for unit in (Unit.PROMPT_TOKEN, *PROMPT_KINDS))}
