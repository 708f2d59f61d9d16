"""What the reference model is made of: states, entries, answers, and the arithmetic that all its verbs share.

It shares nothing with `shared/ledger` but ids; the rules are stated here a second time on purpose.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, entry_id_of
from simulation.request import Request

AMOUNT_MAX = 10**15
HOLD_LIFETIME_MS = 15 * 60_000
WINDOW_MS = 60_000
HOLDS_OPEN_MAX = 5
HOLDS_PER_WINDOW_MAX = 5
SENT_PER_DAY_MAX = 30
"""Bounds low enough to be met by a few dozen requests; simulated processes run with the same."""
DAY_MS = 86_400_000
SEND_REPEAT_MS = 600_000
"""How long the same to the same person counts as sent by mistake."""
LOTS_MAX = 32
NEVER = 2**63
KINDS = {"buy": "grant", "send": "transfer"}
"""What entries of these verbs are called."""

LotKey = tuple[str, int]
"""Origin and expiry. Sorted, "paid" would come before "promo", which is spent first: hence `in_order`."""
Ref = tuple[AccountId, EntryId]


class State(Struct, frozen=True):
    """One account at one moment."""

    seq: int = 0
    lots: Mapping[LotKey, int] = {}
    holds: Mapping[str, tuple[int, int, int]] = {}
    """Amount, when placed, when over."""
    window: tuple[int, int] = (0, 0)
    spent: int = 0
    status: str = "open"
    sending: tuple[int, int, str, int, int] = (0, 0, "", 0, 0)
    """The day, what was sent in it; to whom last, how much, when."""

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


def posted_ref(request: Request) -> Ref | None:
    """The entry that the request writes; None for one that writes none."""
    match request.verb:
        case "hold" | "extend" | "release" | "look":
            return None
        case "open":
            key = f"open:{request.account_id}"
        case "capture":
            key = f"hold:{request.key}"
        case "transfer" | "send" | "close":
            key = f"{request.verb}:{request.account_id}:{request.key}"
        case "refund" | "revoke":
            key = f"{request.verb}:{entry_id_of(request.key)}"
        case "expire":
            key = f"expire:{request.account_id}:{request.until_ms}"
        case _:
            key = request.key
    return request.account_id, entry_id_of(key)


def live_holds(state: State, at_ms: int) -> dict[str, tuple[int, int, int]]:
    """The holds that are not over."""
    return {key: hold for key, hold in state.holds.items() if hold[2] > at_ms}


def spendable_at(state: State, at_ms: int) -> int:
    """What is neither expired, now or when the last of these holds was placed, nor held."""
    holds = list(live_holds(state, at_ms).values())
    seen_ms = max([at_ms, *(placed_at for _, placed_at, _ in holds)])
    alive = sum(amount for (_, expires), amount in state.lots.items() if expires > seen_ms)
    return max(0, alive - sum(amount for amount, _, _ in holds))


def post(
    request: Request,
    state: State,
    at_ms: int,
    changes: Sequence[tuple[str, int, int]] = (),
    legs: tuple[tuple[str, str, int], ...] = (),
    *,
    holds: Mapping[str, tuple[int, int, int]] | None = None,
    kind: str = "",
) -> Effect:
    """One more entry on the account. `holds` are those that the posting leaves, `kind` if it is not the verb's own."""
    kind = kind or KINDS.get(request.verb, request.verb)
    delta = sum(amount for _, _, amount in changes)
    after = replace(
        state,
        seq=state.seq + 1,
        lots=with_changes(state, changes),
        holds=live_holds(state, at_ms) if holds is None else holds,
        spent=state.spent - delta if kind in ("debit", "capture", "refund") else state.spent,
        status={"freeze": "frozen", "unfreeze": "open", "close": "closed"}.get(kind, state.status),
    )
    hold = request.key if kind == "capture" else None
    line = Line(after.seq, kind, delta, after.balance, tuple(changes), legs, hold, at_ms)
    ref = posted_ref(request)
    assert ref is not None
    return Effect({request.account_id: after}, {ref: line}, Posted(ref, line))


def receive(
    request: Request, payer_id: AccountId, payee: State, taken: Sequence[tuple[str, int, int]], at_ms: int
) -> tuple[State, Line]:
    """The other side of a movement between two accounts: what was taken, lot by lot."""
    given = added(payee, [(origin, expires, -amount) for origin, expires, amount in taken], at_ms)
    legs = tuple((payer_id, origin, -amount) for origin, amount in by_origin(taken).items())
    effect = post(request, payee, at_ms, given, legs, kind="transfer")
    return effect.states[request.account_id], next(iter(effect.lines.values()))


def moved(sent: Effect, payee_id: AccountId, received: tuple[State, Line]) -> Effect:
    """Both sides together; both entries bear the same id."""
    state, line = received
    (ref,) = sent.lines
    return Effect({**sent.states, payee_id: state}, {**sent.lines, (payee_id, ref[1]): line}, sent.answer)


def added(state: State, given: Sequence[tuple[str, int, int]], at_ms: int) -> list[tuple[str, int, int]]:
    """What is given, and what makes room for it: the two lots that expire closest to one another become the later one.

    Only lots of one origin, and never one that has expired with one that has not.
    """
    changes = list(given)
    while len(lots := with_changes(state, changes)) > LOTS_MAX:
        gaps = [
            (later[1] - sooner[1], index, sooner, later)
            for index, (sooner, later) in enumerate(pairwise(in_order(replace(state, lots=lots))))
            if sooner[0] == later[0] and (sooner[1] > at_ms) == (later[1] > at_ms)
        ]
        _, _, sooner, later = min(gaps)
        changes += [(*sooner, -lots[sooner]), (*later, lots[sooner])]
    return changes


def with_changes(state: State, changes: Sequence[tuple[str, int, int]]) -> dict[LotKey, int]:
    """The lots after changes, without those that are used up."""
    lots = dict(state.lots)
    for origin, expires, amount in changes:
        lots[origin, expires] = lots.get((origin, expires), 0) + amount
    return {key: amount for key, amount in lots.items() if amount}


def in_order(state: State) -> list[LotKey]:
    """Promotional credits first, then what expires soonest."""
    return sorted(state.lots, key=lambda lot: (lot[0] == "paid", lot[1]))


def take(
    state: State, amount: int, valid_at_ms: int, origins: tuple[str, ...] = ("promo", "paid")
) -> list[tuple[str, int, int]]:
    """Take in order, of these origins. Less than asked when there is not enough; what is owed pays for nothing."""
    taken = []
    for origin, expires in in_order(state):
        usable = origin in origins and expires > valid_at_ms
        part = min(amount, max(0, state.lots[origin, expires])) if usable else 0
        if part:
            taken.append((origin, expires, -part))
            amount -= part
    return taken


def take_or_owe(
    state: State, amount: int, valid_at_ms: int, origins: tuple[str, ...] = ("promo", "paid")
) -> list[tuple[str, int, int]]:
    """Take in order; what is not there is owed as paid credits."""
    taken = take(state, amount, valid_at_ms, origins)
    short = amount + sum(part for _, _, part in taken)
    return [*taken, ("paid", NEVER, -short)] if short else taken


def split(
    taken: Sequence[tuple[str, int, int]], shares: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, str, int], ...]:
    """The largest remainders get what rounding leaves; of equal ones, those named first."""
    legs = []
    weights = sum(weight for _, weight in shares)
    for origin, amount in by_origin(taken).items():
        parts = [amount * weight // weights for _, weight in shares]
        remainders = [(amount * weight % weights, -index) for index, (_, weight) in enumerate(shares)]
        for _, index in sorted(remainders, reverse=True)[: amount - sum(parts)]:
            parts[-index] += 1
        legs += [(payee, origin, part) for (payee, _), part in zip(shares, parts, strict=True) if part]
    return tuple(legs)


def by_origin(taken: Sequence[tuple[str, int, int]]) -> dict[str, int]:
    """How much of each origin was taken."""
    sums: dict[str, int] = {}
    for origin, _, amount in taken:
        sums[origin] = sums.get(origin, 0) - amount
    return sums


def too_low(needed: int, spendable: int) -> Refused:
    """Not enough to spend."""
    return Refused("credit_too_low", (("needed_micros", needed), ("spendable_micros", spendable)))
