"""The reference model's corrections and standing: refund, revoke, clawback, expire, freeze, unfreeze, close."""

from collections.abc import Mapping

from msgspec.structs import replace

from shared.base.ids import entry_id_of
from simulation.model import (
    AMOUNT_MAX,
    Line,
    Outcome,
    Record,
    Ref,
    Refused,
    State,
    States,
    added,
    by_origin,
    in_order,
    live_holds,
    moved,
    post,
    receive,
    take,
    take_or_owe,
)
from simulation.request import Request

VERBS = frozenset({"refund", "revoke", "clawback", "expire", "freeze", "unfreeze", "close"})
DISPUTES = "house:disputes"
BREAKAGE = "house:breakage"


def answer(request: Request, at_ms: int, states: States, journal: Mapping[Ref, Record]) -> Outcome:
    """What a ledger answers that has not done this before."""
    if request.verb in ("refund", "revoke"):
        return _undo(request, at_ms, states, journal)
    if request.verb == "close" and request.payee_id == request.account_id:
        return Refused("transfer_to_self")
    state = states[request.account_id]
    if state is None:
        return Refused("account_not_found")
    match request.verb:
        case "clawback":
            return _claw_back(request, state, at_ms)
        case "expire":
            return _expire(request, state, at_ms)
        case "freeze":
            return post(request, state, at_ms) if state.status == "open" else Refused("account_not_open")
        case "unfreeze":
            return post(request, state, at_ms) if state.status == "frozen" else Refused("account_not_frozen")
        case _:
            return _close(request, state, states, at_ms)


def _undo(request: Request, at_ms: int, states: States, journal: Mapping[Ref, Record]) -> Outcome:
    original = journal.get((request.account_id, entry_id_of(request.key)))
    state = states[request.account_id]
    if original is None:
        return Refused("receipt_not_found")
    if state is None:
        return Refused("account_not_found")
    if request.verb == "revoke" and original.line.kind == "grant":
        return _revoke(request, original.line, state, at_ms)
    if request.verb == "refund" and original.line.kind in ("debit", "capture"):
        return _refund(request, original.line, state, at_ms)
    return Refused("not_reversible")


def _refund(request: Request, original: Line, state: State, at_ms: int) -> Outcome:
    """What a debit or capture took goes back into its lots, and comes back from its payees."""
    if state.status == "closed":
        return Refused("account_not_open")
    given = added(state, [(origin, expires, -amount) for origin, expires, amount in original.lots], at_ms)
    legs = tuple((payee, origin, -amount) for payee, origin, amount in original.legs)
    return post(request, state, at_ms, given, legs)


def _revoke(request: Request, original: Line, state: State, at_ms: int) -> Outcome:
    """As much as was granted is taken of its kind: what was paid for is owed when it is gone, a gift is not."""
    ((source, origin, _),) = original.legs
    if origin == "paid":
        taken = take_or_owe(state, original.delta, at_ms, ("paid",))
    else:
        taken = take(state, original.delta, at_ms, ("promo",))
    return post(request, state, at_ms, taken, _legs_to(source, taken))


def _claw_back(request: Request, state: State, at_ms: int) -> Outcome:
    """Paid credits only, into debt when they are gone, whatever became of the account."""
    if not 0 < request.amount_micros <= AMOUNT_MAX:
        return Refused("amount_out_of_range")
    taken = take_or_owe(state, request.amount_micros, at_ms, ("paid",))
    return post(request, state, at_ms, taken, ((DISPUTES, "paid", request.amount_micros),))


def _expire(request: Request, state: State, at_ms: int) -> Outcome:
    """All that had expired by a moment, unless a hold from before it may still pay with it."""
    taken = _expired(state, min(request.until_ms, at_ms))
    if not taken:
        return Refused("nothing_expired")
    if any(placed < request.until_ms for _, placed, _ in live_holds(state, at_ms).values()):
        return Refused("calls_in_flight")
    return post(request, state, at_ms, taken, _legs_to(BREAKAGE, taken))


def _close(request: Request, state: State, states: States, at_ms: int) -> Outcome:
    if state.status != "open":
        return Refused("account_not_open")
    if live_holds(state, at_ms):
        return Refused("calls_in_flight")
    if any(amount < 0 for amount in state.lots.values()):
        return Refused("account_in_debt")
    expired = _expired(state, at_ms)
    rest = [(*lot, -state.lots[lot]) for lot in in_order(state) if lot[1] > at_ms]
    legs = _legs_to(BREAKAGE, expired) + _legs_to(request.payee_id, rest)
    closed = post(request, state, at_ms, [*expired, *rest], legs)
    if not rest:
        return closed
    heir = states[request.payee_id]
    if heir is None:
        return Refused("account_not_found")
    if heir.status == "closed":
        return Refused("account_not_open")
    received = receive(replace(request, account_id=request.payee_id), request.account_id, heir, rest, at_ms)
    return moved(closed, request.payee_id, received)


def _expired(state: State, until_ms: int) -> list[tuple[str, int, int]]:
    return [(*lot, -state.lots[lot]) for lot in in_order(state) if lot[1] <= until_ms]


def _legs_to(payee: str, taken: list[tuple[str, int, int]]) -> tuple[tuple[str, str, int], ...]:
    return tuple((payee, origin, amount) for origin, amount in by_origin(taken).items())
