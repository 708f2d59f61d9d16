"""A ledger on paper: plain dictionaries, every answer by adding up. Written apart from the one it judges."""

from collections.abc import Mapping

from msgspec.structs import replace

from simulation import corrections
from simulation.model import (
    AMOUNT_MAX,
    DAY_MS,
    HOLD_LIFETIME_MS,
    HOLDS_OPEN_MAX,
    HOLDS_PER_WINDOW_MAX,
    NEVER,
    SEND_REPEAT_MS,
    SENT_PER_DAY_MAX,
    WINDOW_MS,
    Effect,
    Held,
    Outcome,
    Posted,
    Record,
    Ref,
    Refused,
    Released,
    Remembered,
    State,
    States,
    added,
    by_origin,
    live_holds,
    moved,
    post,
    posted_ref,
    receive,
    spendable_at,
    split,
    take,
    take_or_owe,
    too_low,
)
from simulation.request import Request


def answer(request: Request, at_ms: int, states: States, journal: Mapping[Ref, Record]) -> Outcome:
    """What a ledger that does one thing after another answers, in this state."""
    account_id = request.account_id
    if ref := posted_ref(request):
        record = journal.get(ref)
        if record and record.identity != request.identity:
            return Refused("idempotency_key_reused")
        if record:
            return Remembered(Posted(ref, record.line))
    if request.verb == "open":
        return post(request, State(), at_ms) if states[account_id] is None else Refused("unreachable")
    if request.verb in corrections.VERBS:
        return corrections.answer(request, at_ms, states, journal)
    if request.payee_id == account_id:
        return Refused("transfer_to_self")
    state = states[account_id]
    payee = states[request.payee_id] if request.payee_id else state
    if state is None or payee is None:
        return Refused("account_not_found")
    if request.verb == "hold":
        return _hold(request, state, at_ms)
    live = live_holds(state, at_ms)
    if request.verb in ("capture", "extend", "release") and request.key not in live and not request.late:
        return Refused("hold_not_found")
    if request.verb == "extend":
        return _extend(request, state, at_ms)
    if request.verb == "release":
        left = {key: hold for key, hold in live.items() if key != request.key}
        return Effect({account_id: replace(state, holds=left)}, {}, Released())
    if not 0 < request.amount_micros <= AMOUNT_MAX:
        return Refused("amount_out_of_range")
    if request.verb == "capture":
        return _capture(request, state, at_ms)
    if request.verb in ("grant", "buy"):
        return _grant(request, state, at_ms)
    if state.status != "open" or payee.status == "closed":
        return Refused("account_not_open")
    if request.verb == "send":
        return _send(request, state, payee, at_ms)
    spendable = spendable_at(state, at_ms)
    if spendable < request.amount_micros:
        return too_low(request.amount_micros, spendable)
    taken = take(state, request.amount_micros, at_ms)
    if request.verb == "transfer":
        return _move(request, state, payee, taken, at_ms)
    return post(request, state, at_ms, taken, split(taken, request.shares))


def _grant(request: Request, state: State, at_ms: int) -> Outcome:
    if state.status == "closed":
        return Refused("account_not_open")
    origin, source = ("paid", "house:payments") if request.verb == "buy" else ("promo", "house:promotions")
    expires = NEVER if request.verb == "buy" else at_ms + request.lifetime_ms
    legs = ((source, origin, -request.amount_micros),)
    return post(request, state, at_ms, added(state, [(origin, expires, request.amount_micros)], at_ms), legs)


def _hold(request: Request, state: State, at_ms: int) -> Outcome:
    if placed := state.holds.get(request.key):
        if placed[0] != request.amount_micros:
            return Refused("idempotency_key_reused")
        return Remembered(Held(request.key, placed[0], spendable_at(state, placed[1])))
    if not 0 < request.amount_micros <= AMOUNT_MAX:
        return Refused("amount_out_of_range")
    if state.status != "open":
        return Refused("account_not_open")
    live = live_holds(state, at_ms)
    if len(live) >= HOLDS_OPEN_MAX:
        return Refused("too_many_open_calls")
    spendable = spendable_at(state, at_ms)
    if spendable < request.amount_micros:
        return too_low(request.amount_micros, spendable)
    start_ms, count = state.window
    if at_ms >= start_ms + WINDOW_MS:
        window = (at_ms, 1)
    elif count >= HOLDS_PER_WINDOW_MAX:
        return Refused("rate_limit_exceeded", (("retry_after_ms", min(WINDOW_MS, start_ms + WINDOW_MS - at_ms)),))
    else:
        window = (start_ms, count + 1)
    live[request.key] = (request.amount_micros, at_ms, at_ms + HOLD_LIFETIME_MS)
    after = replace(state, holds=live, window=window)
    return Effect({request.account_id: after}, {}, Held(request.key, request.amount_micros, spendable_at(after, at_ms)))


def _extend(request: Request, state: State, at_ms: int) -> Outcome:
    """A hold lives for a whole lifetime from now, and never for less than it would have."""
    live = live_holds(state, at_ms)
    amount, placed_ms, over_ms = live[request.key]
    live[request.key] = (amount, placed_ms, max(over_ms, at_ms + HOLD_LIFETIME_MS))
    after = replace(state, holds=live)
    return Effect({request.account_id: after}, {}, Held(request.key, amount, spendable_at(after, at_ms)))


def recall(request: Request, at_ms: int, states: States) -> Remembered | None:
    """What a ledger that looks first may answer too: a hold that lives long enough was extended, by whomever."""
    state = states[request.account_id]
    hold = state.holds.get(request.key) if state and request.verb == "extend" else None
    if state is None or hold is None or hold[2] < at_ms + HOLD_LIFETIME_MS:
        return None
    return Remembered(Held(request.key, hold[0], spendable_at(state, at_ms)))


def _capture(request: Request, state: State, at_ms: int) -> Outcome:
    """What was delivered is paid for, into debt when the credits that the hold had set aside are gone, or it is."""
    left = live_holds(state, at_ms)
    held, placed_ms, _ = left.pop(request.key, (request.amount_micros, at_ms, 0))
    if request.amount_micros > held:
        return Refused("hold_exceeded")
    taken = take_or_owe(state, request.amount_micros, placed_ms)
    return post(request, state, at_ms, taken, split(taken, request.shares), holds=left)


def _send(request: Request, payer: State, payee: State, at_ms: int) -> Outcome:
    """Only what was paid for, only so much in a day, and not twice by mistake."""
    day_ms, sent, last_to, last_amount, last_ms = payer.sending
    same = (last_to, last_amount) == (request.payee_id, request.amount_micros)
    if same and at_ms < last_ms + SEND_REPEAT_MS and not request.confirmed:
        return Refused("transfer_repeated", (("sent_at_ms", last_ms),))
    day_now_ms = max(day_ms, at_ms - at_ms % DAY_MS)
    before = sent if day_now_ms == day_ms else 0
    sent = before + request.amount_micros
    if sent > SENT_PER_DAY_MAX:
        retry_after_ms = max(0, day_now_ms + DAY_MS - at_ms)
        details = (("left_micros", max(0, SENT_PER_DAY_MAX - before)), ("retry_after_ms", retry_after_ms))
        return Refused("send_limit_exceeded", details)
    counted = replace(payer, sending=(day_now_ms, sent, request.payee_id, request.amount_micros, at_ms))
    paid = sum(amount for (origin, expires), amount in payer.lots.items() if origin == "paid" and expires > at_ms)
    spendable = min(max(0, paid), spendable_at(payer, at_ms))
    if spendable < request.amount_micros:
        return too_low(request.amount_micros, spendable)
    taken = take(payer, request.amount_micros, at_ms, ("paid",))
    return _move(request, counted, payee, taken, at_ms)


def _move(request: Request, payer: State, payee: State, taken: list[tuple[str, int, int]], at_ms: int) -> Outcome:
    legs = tuple((request.payee_id, origin, amount) for origin, amount in by_origin(taken).items())
    sent = post(request, payer, at_ms, taken, legs)
    received = receive(replace(request, account_id=request.payee_id), request.account_id, payee, taken, at_ms)
    return moved(sent, request.payee_id, received)
