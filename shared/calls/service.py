"""A metered call: the worst case held, the routes asked, what it came to charged.

What is common to all calls of models: chats, images, embeddings and recordings.
"""

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, Any, TypeVar

from shared.base.economy import HOLD_LIFETIME_MS
from shared.base.errors import ClientLeft, CredenceError
from shared.base.ids import AccountId, HoldId, RequestId, UserId
from shared.base.log import write_line
from shared.base.micros import CREDIT_MICROS
from shared.calls.leaving import AskProvider, Vigil
from shared.calls.models import Answered, Asking, Whole
from shared.catalog.models import Model, Route
from shared.metering.models import Charge, Outcome, Quote, Usage
from shared.metering.rules import at_demand
from shared.metering.service import Meter, MeteredCall
from shared.pricing.demand import DemandSource
from shared.pricing.rules import sold_at
from shared.providers.gateway import CALL_TIMEOUT_S, Upstreams
from shared.providers.models import DisconnectPolicy
from shared.routing.models import Preference
from shared.routing.service import Routed, Router

if TYPE_CHECKING:
    from shared.shelf.lending import Lender, Lending

T = TypeVar("T")
CountUsage = Callable[[dict[str, Any]], Usage | None]
"""What an answer used; None when nothing was delivered, which is free."""


class Calls:
    """Makes metered calls."""

    def __init__(
        self,
        router: Router,
        upstreams: Upstreams,
        meter: Meter,
        *,
        demand: DemandSource,
        lender: "Lender | None" = None,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self._router = router
        self._upstreams = upstreams
        self._meter = meter
        self._demand = demand
        self._lender = lender
        self._call_timeout_s = call_timeout_s

    async def answer(
        self,
        asking: Asking,
        model: Model,
        quote: Quote,
        ask: AskProvider[dict[str, Any]],
        count: CountUsage,
        *,
        needs: Set[str] = frozenset(),
    ) -> Answered:
        """The answer, charged at what the quote comes to at the model's demand now.

        Nothing is charged when this raises what the meter, the router or a provider does.
        """
        self.check(asking, model, needs)
        call = await self.hold(asking, model, quote)
        whole = await self.whole_answer(asking, model, call, ask, count, needs=needs)
        return Answered(whole.body, whole.charge, {"x-credence-model": model.id, **whole.headers})

    async def whole_answer(
        self,
        asking: Asking,
        model: Model,
        call: MeteredCall,
        ask: AskProvider[dict[str, Any]],
        count: CountUsage,
        *,
        needs: Set[str] = frozenset(),
        read_only: Callable[[], Usage] | None = None,
    ) -> Whole:
        """A whole answer inside a hold, which is resolved however this ends.

        `read_only` counts what a provider has used that was stopped before its answer came; without it none is stopped.
        Raise ClientLeft when the client did and nobody's answer was waited for.
        """
        vigil = Vigil(asking.left, may_stop=read_only is not None)
        try:
            work = self.routed(
                model,
                vigil.watched(ask),
                preference=asking.preference,
                needs=needs,
                begun=False,
                lending=self.lending(model, call, payers=asking.payers, preference=asking.preference),
            )
            routed = await vigil.keep(work)
        except ClientLeft:
            await _settle_stopped(call, vigil, model, asking.request_id, read_only)
            raise
        except BaseException:
            await give_back(call)
            raise
        try:
            usage = count(routed.answer)
            facts = call_facts(
                model, routed.facts, asking.request_id, Outcome.ABANDONED if vigil.is_over else Outcome.FINISHED
            )
            if vigil.is_over:
                facts["disconnect_policy"] = DisconnectPolicy.DRAIN.value
            # To one who is still there an answer that cannot be charged is not given; one who left owes it.
            charging = call.collect if vigil.is_over else call.capture
            charge = await (charging(usage, facts) if usage else call.release())
        except BaseException:
            await give_back(call)
            raise
        finally:
            await routed.close()
        headers = {**routed.headers, **charge_headers(charge), **rate_headers(call)}
        return Whole(routed.answer, routed.route, usage, charge, headers)

    def check(self, asking: Asking, model: Model, needs: Set[str] = frozenset()) -> None:
        """Raise RouteAbsent for what no route could even be asked, before anything is held for it."""
        self._router.check(model, preference=asking.preference, needs=needs)

    async def hold(
        self, asking: Asking, model: Model, quote: Quote, *, lifetime_ms: int = HOLD_LIFETIME_MS
    ) -> MeteredCall:
        """Hold what the quote comes to at the model's demand now, and at least at cost. Raises what the meter does."""
        quote = await self.quoted(model, quote)
        call = await self._meter.begin(asking.account_id, asking.request_id, quote, lifetime_ms=lifetime_ms)
        call.before_charge = asking.before_charge
        return call

    async def quoted(self, model: Model, quote: Quote) -> Quote:
        """What the quote comes to at the model's demand now, and at least at cost."""
        multiplier = await self._demand.of(model.id)
        return at_demand(quote, *sold_at(multiplier, model.routes))

    def resume(self, account_id: AccountId, hold_id: HoldId, quote: Quote) -> MeteredCall:
        """A call that another process held for."""
        return self._meter.resume(account_id, hold_id, quote)

    async def first_answer(
        self,
        asking: Asking,
        model: Model,
        call: MeteredCall,
        ask: AskProvider[T],
        *,
        needs: Set[str] = frozenset(),
        begun: bool,
    ) -> Routed[T]:
        """What the first route that answers gives: whole, or an answer that has `begun`, to be relayed and charged.

        Whoever got it must close it. When this raises, the hold was given back.
        """
        try:
            return await self.routed(
                model,
                ask,
                preference=asking.preference,
                needs=needs,
                begun=begun,
                lending=self.lending(model, call, payers=asking.payers, preference=asking.preference),
            )
        except BaseException:
            await give_back(call)
            raise

    async def routed(
        self,
        model: Model,
        ask: AskProvider[T],
        *,
        preference: Preference,
        needs: Set[str] = frozenset(),
        begun: bool,
        lending: "Lending | None" = None,
    ) -> Routed[T]:
        """The same without a look at the hold, for work that asks more than once under one.

        With `lending` a contributed key may be asked with; without it only the platform's own.
        """

        async def ask_route(route: Route, timeout_s: float) -> T:
            provider = self._upstreams[route.provider]
            if lending is not None:
                return await lending.ask(route, provider, ask, timeout_s)
            return await ask(provider, route.model, timeout_s)

        return await self._router.first_answer(
            model,
            ask_route,
            timeout_s=self._call_timeout_s,
            preference=preference,
            needs=needs,
            times_first_byte=begun,
        )

    def lending(
        self, model: Model, call: MeteredCall, *, payers: Set[UserId], preference: Preference
    ) -> "Lending | None":
        """Contributed keys for the call, none of them a payer's. The call answers for whichever serves it."""
        if self._lender is None:
            return None
        return self._lender.lending(model.id, call, payers=payers, preference=preference)


async def give_back(call: MeteredCall) -> None:
    """Release the hold of a call that failed. If that fails too, the hold expires by itself."""
    try:
        await call.release()
    except CredenceError as error:
        write_line("ERROR", "release_failed", receipt=call.receipt_id, code=error.code)


async def _settle_stopped(
    call: MeteredCall, vigil: Vigil, model: Model, request_id: RequestId, read_only: Callable[[], Usage] | None
) -> None:
    """Charge for what a provider had read that was stopped, where it bills that; else give the hold back.

    If reading were free, so were filling a provider's cache with a prompt whose next reading then costs a tenth.
    """
    stopped = vigil.stopped
    if stopped is None or read_only is None or stopped.provider.disconnect_whole is DisconnectPolicy.FREE:
        await give_back(call)
        return
    route = {"provider": stopped.provider.name, "upstream_model": stopped.model}
    facts = call_facts(model, route, request_id, Outcome.ABANDONED)
    facts["disconnect_policy"] = stopped.provider.disconnect_whole.value
    await call.collect(read_only(), facts)


def call_facts(
    model: Model, route_facts: Mapping[str, str | int], request_id: RequestId, outcome: Outcome
) -> dict[str, str | int]:
    """What a receipt says of the call beside its charge."""
    return {"model": model.id, "outcome": outcome.value, "request_id": request_id, **route_facts}


def charge_headers(charge: Charge) -> dict[str, str]:
    """What the client is told of a charge that was made before its answer was sent."""
    headers = {"x-credence-cost-micros": str(charge.amount_micros)}
    if charge.entry_id is not None:
        headers["x-credence-receipt"] = charge.entry_id
    if charge.balance_micros is not None:
        headers["x-credence-balance-micros"] = str(charge.balance_micros)
    return headers


def rate_headers(call: MeteredCall) -> dict[str, str]:
    """What the account may still begin, in OpenAI's headers. Tokens are bounded by credits, and not by a rate."""
    if (rate := call.rate) is None:
        return {}
    return {
        "x-ratelimit-limit-requests": str(rate.limit),
        "x-ratelimit-remaining-requests": str(rate.remaining),
        "x-ratelimit-reset-requests": f"{-(-rate.resets_in_ms // 1_000)}s",
    }


def told_cost(charge: Charge) -> dict[str, Any]:
    """What stands in an answer's usage of its charge: credits as a number for tools, and exact micros."""
    details = {"charged_micros": charge.amount_micros, "receipt_id": charge.entry_id}
    return {"cost": charge.amount_micros / CREDIT_MICROS, "cost_details": details}
