"""The paid calls of one job: each held before it, within the job's ceiling, asked, kept, and charged once.

A call goes through four writes, each of which needs the lease: that it is begun, under which hold and at which quote;
its answer with what that is charged; that it is charged. Whoever finds one of them goes on from there. So a process
that dies between a provider's answer and its keeping leaves a call that is begun, and the next one asks the provider
again, under the same hold: the platform pays the provider twice, and the owner once.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from shared.agents import rules
from shared.agents.commits import Put
from shared.agents.documents import trace_document
from shared.agents.errors import AnswerTooLarge, BudgetReached
from shared.agents.limits import TRACE_BYTES_MAX
from shared.agents.models import CallState, Job, Trace
from shared.agents.payers import Payers
from shared.agents.store import JobStore
from shared.agents.tenure import Note, Tenure
from shared.base.clock import Clock
from shared.base.economy import HOLD_LIFETIME_MS
from shared.base.errors import CredenceError
from shared.base.ids import HoldId, RequestId
from shared.base.log import write_line
from shared.base.micros import format_credits
from shared.calls.leaving import AskProvider
from shared.calls.service import Calls, call_facts
from shared.catalog.models import Model
from shared.metering.errors import CallUnaffordable
from shared.metering.models import Charge, Outcome, Quote, Usage
from shared.metering.rules import charge_micros
from shared.metering.service import LentBefore, Meter, MeteredCall

Read = Callable[[dict[str, Any]], Awaitable[tuple[Usage | None, Mapping[str, Any]]]]
"""What an answer used, None for nothing, and what of it is kept."""


class PaidCall(Struct, frozen=True, kw_only=True):
    """A call to be made."""

    step: str
    tool: str
    model: Model
    quote: Quote
    needs: frozenset[str] = frozenset()
    request_hash: str
    hold_ms: int = HOLD_LIFETIME_MS
    """How long its hold lives. One that another process placed is used for half of that: what is left is then more than
    the call may take."""
    lends: bool = True
    """Whether a contributed key may serve it. None serves what its provider works at for longer than a call."""
    ask: AskProvider[dict[str, Any]]
    read: Read


class Purse:
    """Makes the paid calls of one tenure."""

    def __init__(
        self, tenure: Tenure, store: JobStore, calls: Calls, meter: Meter, payers: Payers, clock: Clock
    ) -> None:
        self._tenure = tenure
        self._store = store
        self._calls = calls
        self._meter = meter
        self._payers = payers
        self._clock = clock

    async def pay(self, call: PaidCall) -> Trace:
        """The step, done. Raise BudgetReached, CardStopped, CancelAsked, JobTaken, or what the router or a provider
        does.
        """
        known = await self._store.trace(self._tenure.job.job_id, call.step)
        if known is not None and known.state is CallState.DONE:
            return known
        if known is not None and known.state is CallState.ANSWERED:
            return await self._charge(known)
        if known is not None and known.state is CallState.FAILED:
            # Whoever wrote that it failed may have died before giving back.
            await self._give_back(self._metered(known), known.hold_id)
        if known is None or known.state is CallState.FAILED:
            # What is under way goes on, whatever became of the card.
            await self._payers.check(self._tenure.job.account_id)
        trace = await self._begin(call, known)
        metered = await self._hold(trace, call.hold_ms)
        return await self._charge(await self._ask(call, trace, metered))

    async def _begin(self, call: PaidCall, known: Trace | None) -> Trace:
        """Decide on the hold. From here on the ceiling counts it, and the job's end gives it back."""
        now_ms = self._clock()
        if known is not None and known.state is CallState.BEGUN and known.begun_at_ms + call.hold_ms // 2 > now_ms:
            trace = known
        else:
            attempt = 0 if known is None else known.attempt + 1
            quote = await self._calls.quoted(call.model, call.quote)
            trace = Trace(
                step=call.step,
                tool=call.tool,
                state=CallState.BEGUN,
                request_hash=call.request_hash,
                attempt=attempt,
                hold_id=rules.hold_id_of(self._tenure.job.job_id, call.step, attempt),
                begun_at_ms=now_ms,
                model=call.model.id,
                quote=to_builtins(quote),
            )
        amount_micros = int(trace.quote["amount_micros"])
        # Whoever made the attempt before may have died before giving its hold back, or before its successor did.
        stale = rules.hold_id_of(self._tenure.job.job_id, call.step, trace.attempt - 1) if trace.attempt else None

        def decide(job: Job) -> Mapping[str, Any]:
            self._tenure.check_cancel()
            holds = _without(job.holds, trace.hold_id, stale)
            if amount_micros > rules.left_micros(replace(job, holds=holds)):
                raise BudgetReached(needed_micros=amount_micros, limit="ceiling")
            return {"holds": {**job.holds, trace.hold_id: amount_micros}}

        await self._tenure.write(decide, [self._put(trace)])
        if stale is not None:
            await self._give_back(self._metered(replace(trace, hold_id=stale)), stale)
        return trace

    async def _hold(self, trace: Trace, lifetime_ms: int) -> MeteredCall:
        """Place the hold, or find it placed. If we die here, whoever comes next finds it under the same id."""
        account_id, hold_id = self._tenure.job.account_id, RequestId(trace.hold_id)
        try:
            return await self._meter.begin(account_id, hold_id, _quote_of(trace), lifetime_ms=lifetime_ms)
        except CallUnaffordable as refusal:
            await self._fail(trace, holds=False)
            needed_micros = int(refusal.details()["needed_micros"])
            raise BudgetReached(needed_micros=needed_micros, limit="wallet") from None
        except CredenceError:
            # It may have been placed and the answer lost.
            await self._fail(trace)
            await self._give_back(self._metered(trace), trace.hold_id)
            raise

    async def _ask(self, call: PaidCall, trace: Trace, metered: MeteredCall) -> Trace:
        try:
            return await self._answered(call, trace, metered)
        finally:
            # What a key served whose answer was not kept is charged to nobody, even if the process was stopped over it.
            metered.settle_lent(0)

    async def _answered(self, call: PaidCall, trace: Trace, metered: MeteredCall) -> Trace:
        begun_s, job = time.monotonic(), self._tenure.job
        lending = self._calls.lending(call.model, metered, payers=job.payers, preference=job.preference)
        try:
            routed = await self._calls.routed(
                call.model,
                call.ask,
                preference=job.preference,
                needs=call.needs,
                begun=False,
                lending=lending if call.lends else None,
            )
            try:
                usage, answer = await call.read(routed.answer)
            finally:
                await routed.close()
            facts = call_facts(call.model, routed.facts, RequestId(trace.hold_id), Outcome.FINISHED)
            answered = replace(
                trace,
                state=CallState.ANSWERED,
                usage={} if usage is None else to_builtins(usage),
                answer=answer,
                facts={**facts, "job": job.job_id, "step": call.step, **metered.lent_facts},
                shares=metered.shares,
                charged_micros=0 if usage is None else charge_micros(metered.quote, usage),
                took_ms=round(1_000 * (time.monotonic() - begun_s)),
            )
            if len(msgspec.json.encode(answer)) > TRACE_BYTES_MAX:
                raise AnswerTooLarge
        except CredenceError:
            # Whoever has the job by now goes on under this hold: it is given back only if the job is still ours.
            await self._fail(trace)
            await self._give_back(metered, trace.hold_id)
            raise
        # If we die before this is written, the provider is asked again. A write whose answer is lost may stand, so the
        # quota of a key counts it from here on: part of it is rather lost than lent twice.
        metered.settle_lent(answered.charged_micros)
        await self._tenure.write(lambda job: {}, [self._put(answered)])
        return answered

    async def _charge(self, trace: Trace) -> Trace:
        """Charge what was decided. Several may come this far with one answer, and the ledger charges its hold once."""
        metered = self._metered(trace)
        charge = await (metered.collect(_usage_of(trace), trace.facts) if trace.usage else metered.release())
        # If we die here, the next process is answered with the same charge.
        done = replace(trace, state=CallState.DONE, charged_micros=charge.amount_micros, receipt_id=charge.entry_id)

        def decide(job: Job) -> Mapping[str, Any]:
            return {
                "holds": _without(job.holds, trace.hold_id),
                "calls": job.calls + 1,
                "spent_micros": job.spent_micros + charge.amount_micros,
            }

        await self._tenure.write(decide, [self._put(done)], notes=self._warnings(charge))
        return done

    def _warnings(self, charge: Charge) -> list[Note]:
        job = self._tenure.job
        if not rules.crosses_warning(job, charge.amount_micros):
            return []
        spent_micros = job.spent_micros + charge.amount_micros
        text = f"{format_credits(spent_micros)} of {format_credits(job.ceiling_micros)} credits are spent."
        return [("budget_warning", text, {"spent_micros": spent_micros, "ceiling_micros": job.ceiling_micros})]

    async def _fail(self, trace: Trace, *, holds: bool = True) -> None:
        """Write down that it failed. What it `holds` stays in the job until it is given back."""

        def decide(job: Job) -> Mapping[str, Any]:
            return {} if holds else {"holds": _without(job.holds, trace.hold_id)}

        await self._tenure.write(decide, [self._put(replace(trace, state=CallState.FAILED))])

    async def _give_back(self, metered: MeteredCall, hold_id: str) -> None:
        """Release a hold and then forget it. If we die before that, or the ledger is out of reach, it is still in the
        job: the next attempt at the step gives it back, or the job's end.
        """
        if hold_id not in self._tenure.job.holds:
            return
        try:
            await metered.release()
        except CredenceError as error:
            write_line("ERROR", "release_failed", receipt=hold_id, code=error.code)
            return
        await self._tenure.write(lambda job: {"holds": _without(job.holds, hold_id)})

    def _put(self, trace: Trace) -> Put:
        return Put(f"jobs/{self._tenure.job.job_id}/steps/{rules.step_id(trace.step)}", trace_document(trace))

    def _metered(self, trace: Trace) -> MeteredCall:
        metered = self._calls.resume(self._tenure.job.account_id, HoldId(trace.hold_id), _quote_of(trace))
        metered.lent = LentBefore(trace.shares)
        return metered


def _without(holds: Mapping[str, int], *hold_ids: str | None) -> dict[str, int]:
    return {hold_id: amount_micros for hold_id, amount_micros in holds.items() if hold_id not in hold_ids}


def _quote_of(trace: Trace) -> Quote:
    return msgspec.convert(trace.quote, Quote)


def _usage_of(trace: Trace) -> Usage:
    return msgspec.convert(trace.usage, Usage)
