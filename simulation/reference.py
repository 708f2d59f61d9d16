"""A ledger on paper: plain dictionaries, every answer by adding up. Written apart from the one it judges.

It shares nothing with `shared/ledger` but ids; the rules are stated here a second time on purpose.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, entry_id_of
from simulation.request import Request

AMOUNT_MAX = 10**15
HOLD_LIFETIME_MS = 15 * 60_000
WINDOW_MS = 60_000
HOLDS_OPEN_MAX = 5
HOLDS_PER_WINDOW_MAX = 8
"""Bounds low enough to be met by a few dozen requests; simulated processes run with the same."""
NEVER = 2**63

LotKey = tuple[str, int]
"""Origin and expiry. Sorted, "paid" would come before "promo", which is spent first: hence `_lots_in_order`."""
Ref = tuple[AccountId, EntryId]


class State(Struct, frozen=True):
    """One account at one moment."""

    seq: int = 0
    lots: Mapping[LotKey, int] = {}
    holds: Mapping[str, tuple[int, int, int]] = {}
    """Amount, when placed, when over."""
    window: tuple[int, int] = (0, 0)
    spent: int = 0

    @property
    def balance(self) -> int:
        return sum(self.lots.values())


States = Mapping[AccountId, State | None]


class Line(Struct, frozen=True):
    """What an entry must say, but for its hashes."""

    seq: int
    kind: str
    delta: int
    balance: int
    lots: tuple[tuple[str, int, int], ...]
    legs: tuple[tuple[str, str, int], ...]
    hold: str | None
    at_ms: int


class Refused(Struct, frozen=True):
    """A refusal: its public code and the values it shows."""

    code: str
    details: tuple[tuple[str, object], ...] = ()


class Posted(Struct, frozen=True):
    """An entry, new or found."""

    ref: Ref
    line: Line


class Held(Struct, frozen=True):
    """A hold, and what could be spent once it was there."""

    key: str
    amount: int
    spendable: int


class Released(Struct, frozen=True):
    """A hold was let go."""


class Effect(Struct, frozen=True):
    """What a request does when it is done now."""

    states: Mapping[AccountId, State]
    lines: Mapping[Ref, Line]
    answer: Posted | Held | Released


class Remembered(Struct, frozen=True):
    """The answer to a request that was done before."""

    answer: Posted | Held


class Record(Struct, frozen=True):
    """An entry that stands."""

    position: int
    """How many commits there had been with the one that wrote it."""
    identity: tuple[object, ...]
    line: Line


Outcome = Effect | Remembered | Refused


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
        return _post(request, State(), {}, [], at_ms) if states[account_id] is None else Refused("unreachable")
    if request.verb == "transfer" and request.payee_id == account_id:
        return Refused("transfer_to_self")
    state = states[account_id]
    payee = states[request.payee_id] if request.verb == "transfer" else state
    if state is None or payee is None:
        return Refused("account_not_found")
    if request.verb == "hold":
        return _hold(request, state, at_ms)
    live = live_holds(state, at_ms)
    if request.verb in ("capture", "release") and request.key not in live:
        return Refused("hold_not_found")
    if request.verb == "release":
        left = {key: hold for key, hold in live.items() if key != request.key}
        return Effect({account_id: replace(state, holds=left)}, {}, Released())
    if not 0 < request.amount_micros <= AMOUNT_MAX:
        return Refused("amount_out_of_range")
    if request.verb == "grant":
        lot = ("promo", at_ms + request.lifetime_ms, request.amount_micros)
        return _post(request, state, live, [lot], at_ms, legs=(("house:promotions", "promo", -request.amount_micros),))
    if request.verb == "capture":
        return _capture(request, state, at_ms)
    spendable = spendable_at(state, at_ms)
    if spendable < request.amount_micros:
        return _too_low(request.amount_micros, spendable)
    taken = _take(state, request.amount_micros, at_ms)
    if request.verb == "transfer":
        return _transfer(request, state, payee, taken, at_ms)
    return _post(request, state, live, taken, at_ms, legs=_split(taken, request.shares))


def posted_ref(request: Request) -> Ref | None:
    """The entry that the request writes; None for one that writes none."""
    key = {
        "open": f"open:{request.account_id}",
        "grant": request.key,
        "debit": request.key,
        "capture": f"hold:{request.key}",
        "transfer": f"transfer:{request.account_id}:{request.key}",
    }.get(request.verb)
    return (request.account_id, entry_id_of(key)) if key else None


def live_holds(state: State, at_ms: int) -> dict[str, tuple[int, int, int]]:
    """The holds that are not over."""
    return {key: hold for key, hold in state.holds.items() if hold[2] > at_ms}


def spendable_at(state: State, at_ms: int) -> int:
    """What is neither expired nor held."""
    alive = sum(amount for (_, expires), amount in state.lots.items() if expires > at_ms)
    return max(0, alive - sum(amount for amount, _, over in state.holds.values() if over > at_ms))


def _hold(request: Request, state: State, at_ms: int) -> Outcome:
    if placed := state.holds.get(request.key):
        if placed[0] != request.amount_micros:
            return Refused("idempotency_key_reused")
        return Remembered(Held(request.key, placed[0], spendable_at(state, placed[1])))
    if not 0 < request.amount_micros <= AMOUNT_MAX:
        return Refused("amount_out_of_range")
    live = live_holds(state, at_ms)
    if len(live) >= HOLDS_OPEN_MAX:
        return Refused("too_many_open_calls")
    spendable = spendable_at(state, at_ms)
    if spendable < request.amount_micros:
        return _too_low(request.amount_micros, spendable)
    start_ms, count = state.window
    if at_ms >= start_ms + WINDOW_MS:
        window = (at_ms, 1)
    elif count >= HOLDS_PER_WINDOW_MAX:
        return Refused("rate_limit_exceeded", (("retry_after_ms", min(WINDOW_MS, start_ms + WINDOW_MS - at_ms)),))
    else:
        window = (start_ms, count + 1)
    live[request.key] = (request.amount_micros, at_ms, at_ms + HOLD_LIFETIME_MS)
    after = replace(state, holds=live, window=window)
    held = Held(request.key, request.amount_micros, spendable - request.amount_micros)
    return Effect({request.account_id: after}, {}, held)


def _capture(request: Request, state: State, at_ms: int) -> Outcome:
    held, placed_ms, _ = state.holds[request.key]
    if request.amount_micros > held:
        return Refused("hold_exceeded")
    left = live_holds(state, at_ms)
    del left[request.key]
    taken = _take(state, request.amount_micros, placed_ms)
    short = request.amount_micros + sum(amount for _, _, amount in taken)
    if short:
        # Reached by no sequence of requests, or a hold would promise what is not there; the judge knows this code.
        return Refused("hold_not_covered")
    return _post(request, state, left, taken, at_ms, legs=_split(taken, request.shares))


def _transfer(request: Request, payer: State, payee: State, taken: list[tuple[str, int, int]], at_ms: int) -> Outcome:
    moved = _by_origin(taken)
    paid = _post(
        request,
        payer,
        live_holds(payer, at_ms),
        taken,
        at_ms,
        legs=tuple((request.payee_id, origin, amount) for origin, amount in moved.items()),
    )
    received = _post(
        replace(request, account_id=request.payee_id),
        payee,
        live_holds(payee, at_ms),
        [(origin, expires, -amount) for origin, expires, amount in taken],
        at_ms,
        legs=tuple((request.account_id, origin, -amount) for origin, amount in moved.items()),
    )
    (ref, paid_line), (received_line,) = next(iter(paid.lines.items())), received.lines.values()
    lines = {ref: paid_line, (request.payee_id, ref[1]): received_line}
    return Effect({**paid.states, **received.states}, lines, paid.answer)


def _post(
    request: Request,
    state: State,
    holds: Mapping[str, tuple[int, int, int]],
    changes: list[tuple[str, int, int]],
    at_ms: int,
    legs: tuple[tuple[str, str, int], ...] = (),
) -> Effect:
    lots = dict(state.lots)
    for origin, expires, amount in changes:
        lots[origin, expires] = lots.get((origin, expires), 0) + amount
    lots = {key: amount for key, amount in lots.items() if amount}
    delta = sum(amount for _, _, amount in changes)
    spent = state.spent - delta if request.verb in ("debit", "capture") else state.spent
    after = replace(state, seq=state.seq + 1, lots=lots, holds=holds, spent=spent)
    hold = request.key if request.verb == "capture" else None
    line = Line(after.seq, request.verb, delta, after.balance, tuple(changes), legs, hold, at_ms)
    ref = posted_ref(request)
    assert ref is not None
    return Effect({request.account_id: after}, {ref: line}, Posted(ref, line))


def _take(state: State, amount: int, valid_at_ms: int) -> list[tuple[str, int, int]]:
    """Promotional credits first, then what expires soonest. Less than asked when there is not enough."""
    taken = []
    for origin, expires in sorted(state.lots, key=lambda lot: (lot[0] == "paid", lot[1])):
        part = min(amount, state.lots[origin, expires]) if expires > valid_at_ms else 0
        if part:
            taken.append((origin, expires, -part))
            amount -= part
    return taken


def _split(taken: list[tuple[str, int, int]], shares: tuple[tuple[str, int], ...]) -> tuple[tuple[str, str, int], ...]:
    """The largest remainders get what rounding leaves; of equal ones, those named first."""
    legs = []
    weights = sum(weight for _, weight in shares)
    for origin, amount in _by_origin(taken).items():
        parts = [amount * weight // weights for _, weight in shares]
        remainders = [(amount * weight % weights, -index) for index, (_, weight) in enumerate(shares)]
        for _, index in sorted(remainders, reverse=True)[: amount - sum(parts)]:
            parts[-index] += 1
        legs += [(payee, origin, part) for (payee, _), part in zip(shares, parts, strict=True) if part]
    return tuple(legs)


def _by_origin(taken: list[tuple[str, int, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for origin, _, amount in taken:
        sums[origin] = sums.get(origin, 0) - amount
    return sums


def _too_low(needed: int, spendable: int) -> Refused:
    return Refused("credit_too_low", (("needed_micros", needed), ("spendable_micros", spendable)))
