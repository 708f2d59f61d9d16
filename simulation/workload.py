"""The script of a seed: who asks what and when. Drawn before anything runs, so that faults do not change it."""

import random
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from shared.base.ids import AccountId
from simulation.folds import WINDOW_S
from simulation.loop import EPOCH_MS
from simulation.request import Request

MINUTE_MS = 60_000
TIMED = 0.15
"""The share of seeds with timers; they take several times as long."""
AROUND_WINDOW_ENDS = 0.7
"""Of the bursts in them, those shortly before a window of settlement ends."""
ON_THE_BEAT = 0.2
"""Of those, the ones just when timers run."""
REQUESTS_MIN, REQUESTS_MAX = 24, 44
PEOPLE = (AccountId("user:ada"), AccountId("user:ben"), AccountId("user:clara"))
REPEATED_AMONG_LAST = 12
HOARDED = 0.03
"""The share of seeds in which somebody is given more than fits into the lots of an account."""
GRANTS_HOARDED = 40
SPLITS = (
    (("house:revenue", 1),),
    (("house:revenue", 3), ("earn:mia", 7)),
    (("house:revenue", 1), ("earn:mia", 1), ("earn:noa", 1)),
)
TO_ONESELF = 0.1
UNDONE = {"refund": ("debit", "capture"), "revoke": ("grant", "buy")}
"""What undoes what."""
CHANGED_VERBS = frozenset({"grant", "buy", "debit", "hold", "capture", "transfer", "send", "clawback"})
"""What is sometimes asked with another amount under the same key."""
WEIGHTS = {"grant": 14, "debit": 24, "hold": 20, "capture": 16, "extend": 4, "release": 6, "transfer": 16, "look": 4}
CORRECTED_WEIGHTS = {
    **WEIGHTS,
    "buy": 12,
    "send": 8,
    "confirm": 4,
    "late": 5,
    "refund": 10,
    "revoke": 5,
    "clawback": 5,
    "expire": 5,
    "freeze": 2,
    "unfreeze": 4,
    "close": 3,
}
SENT_WEIGHTS = {"buy": 30, "send": 40, "confirm": 12, "debit": 10, "hold": 10, "capture": 8, "revoke": 5, "look": 4}
SHARES = (0.5, 0.42, 0.08)
"""Of the seeds: those in which people only spend; those in which operators correct, and accounts may come to owe; and
those in which people send one another what they bought."""


class Planned(Struct, frozen=True):
    """A request and the moment at which its client first makes it."""

    start_s: float
    request: Request


class Script(Struct, frozen=True):
    """All requests in order of time."""

    accounts: tuple[AccountId, ...]
    requests: tuple[Planned, ...]
    timed: bool = False
    """Whether processes run their timers too, and time passes until all is settled and signed."""

    @property
    def end_s(self) -> float:
        """When the last client begins."""
        return self.requests[-1].start_s


class _Verbs(Struct, frozen=True):
    """What is asked, and how often: the weight of each verb and of all before it."""

    names: list[str]
    weights: list[int]


def draw_script(chance: random.Random) -> Script:
    """Few accounts and small sums, so that requests meet and credits run out."""
    timed = chance.random() < TIMED
    (weights,) = chance.choices((WEIGHTS, CORRECTED_WEIGHTS, SENT_WEIGHTS), SHARES)
    verbs = _Verbs(list(weights), list(accumulate(weights.values())))
    accounts = PEOPLE[: chance.randint(2, 3)]
    planned = [Planned(chance.uniform(0, 0.1), Request("open", account_id)) for account_id in accounts]
    planned += [Planned(chance.uniform(0, 0.3), _grant(chance, account_id, "first")) for account_id in accounts]
    start_s = 0.2
    drawn: list[Request] = []
    left = chance.randint(REQUESTS_MIN, REQUESTS_MAX)
    while left > 0:
        size = min(left, chance.randint(3, 14))
        spread_s = chance.choice((0.005, 0.02, 0.1, 2.0))
        # Half the bursts meet on one account: there, operations share commits and build on one another.
        concerned = accounts if chance.random() < 0.5 else (chance.choice(accounts),)
        for _ in range(size):
            request = _draw_request(chance, verbs, concerned, drawn, start_s)
            drawn.append(request)
            planned.append(Planned(start_s + chance.uniform(0, spread_s), request))
        left -= size
        start_s += chance.choice((0.05, 1.0, 20.0, chance.uniform(0, 16 * 60)))
        if timed and chance.random() < AROUND_WINDOW_ENDS:
            before_s = 0.03 if chance.random() < ON_THE_BEAT else chance.uniform(0, 4)
            start_s = (start_s // WINDOW_S + 1) * WINDOW_S - before_s
    if chance.random() < HOARDED:
        planned += _hoard(chance, chance.choice(accounts), start_s)
    return Script(accounts, tuple(sorted(planned, key=lambda item: item.start_s)), timed)


def _draw_request(
    chance: random.Random,
    verbs: "_Verbs",
    accounts: tuple[AccountId, ...],
    drawn: list[Request],
    start_s: float,
) -> Request:
    """Something new, or something already asked: the same again, or another request under its key."""
    keyed = [request for request in drawn[-REPEATED_AMONG_LAST:] if request.key]
    if keyed and chance.random() < 0.15:
        earlier = chance.choice(keyed)
        if chance.random() < 0.5 or earlier.verb not in CHANGED_VERBS:
            return earlier
        return replace(earlier, amount_micros=chance.randint(1, 60))
    number = len(drawn)
    verb = chance.choices(verbs.names, cum_weights=verbs.weights)[0]
    account_id = chance.choice(accounts)
    amount_micros = chance.choice((0, -5, 10**15 + 1)) if chance.random() < 0.02 else chance.randint(1, 60)
    key = f"{verb}{number}"
    payee_id = account_id if chance.random() < TO_ONESELF else chance.choice(_others(account_id))
    if verb == "grant":
        return _grant(chance, account_id, key)
    if verb == "debit":
        return Request(verb, account_id, amount_micros, key, shares=chance.choice(SPLITS))
    if verb in ("hold", "buy", "clawback"):
        return Request(verb, account_id, amount_micros, key)
    if verb == "freeze":
        return Request(verb, account_id, key=key)
    if verb == "unfreeze":
        frozen = [request.account_id for request in drawn if request.verb == "freeze"]
        return Request(verb, frozen[-1] if frozen else account_id, key=key)
    if verb == "close":
        return Request(verb, account_id, key=key, payee_id=payee_id)
    if verb == "expire":
        # A clock may be wrong by more than the moment lies ahead or behind.
        until_ms = EPOCH_MS + int(start_s * 1000) + chance.choice((-MINUTE_MS, -3_000, 0, 8_000))
        return Request(verb, account_id, until_ms=until_ms)
    if verb in UNDONE and keyed:
        # Now and then of what moved nothing of the kind, or is not there yet.
        done = [request for request in drawn if request.verb in UNDONE[verb]]
        original = chance.choice(done if done and chance.random() < 0.9 else keyed)
        original_key = f"hold:{original.key}" if original.verb == "capture" else original.key
        return Request(verb, original.account_id, key=original_key)
    if verb == "confirm":
        # Of what was refused, or sent in fact: under its own key, or meant to be sent once more.
        sent = [request for request in drawn if request.verb == "send"]
        again = chance.choice(sent) if sent else Request("send", account_id, 2, key, payee_id=payee_id)
        return replace(again, confirmed=True, key=chance.choice((again.key, key)))
    if verb == "send":
        # Few amounts, so that some look sent twice by mistake, and a day's limit is met.
        amount_micros = min(amount_micros, chance.choice((2, 3, 25)))
    if verb in ("transfer", "send"):
        return Request(verb, account_id, amount_micros, key, payee_id=payee_id)
    if verb == "look":
        return Request(verb, account_id)
    # A late capture may be of any hold, most of which are gone by then.
    holds = [request for request in drawn[0 if verb == "late" else -REPEATED_AMONG_LAST :] if request.verb == "hold"]
    if not holds:
        return Request("hold", account_id, amount_micros, f"hold{number}")
    hold = chance.choice(holds)
    if verb in ("extend", "release"):
        return Request(verb, hold.account_id, key=hold.key)
    # A tenth more than was held now and then, which must be refused.
    taken_micros = max(1, hold.amount_micros * chance.randint(1, 110) // 100)
    shares = chance.choice(SPLITS)
    return Request("capture", hold.account_id, taken_micros, hold.key, shares=shares, late=verb == "late")


def _others(account_id: AccountId) -> list[AccountId]:
    """Whom somebody may send to: one of the two that are in every script."""
    return [payee_id for payee_id in PEOPLE[:2] if payee_id != account_id]


def _hoard(chance: random.Random, account_id: AccountId, until_s: float) -> list[Planned]:
    """Grants to one account, at once or over the whole script, of which each expires at a time of its own; many have
    expired before the last is given."""
    spread_s = chance.choice((0.1, until_s))
    hoarded = []
    for number in range(GRANTS_HOARDED):
        lifetime_ms = chance.choice((chance.randint(5, 50), chance.randint(1_000, 2_000 + int(spread_s * 1000))))
        grant = Request("grant", account_id, chance.randint(1, 9), f"hoarded{number}", lifetime_ms=lifetime_ms)
        hoarded.append(Planned(0.4 + chance.uniform(0, spread_s), grant))
    return hoarded


def _grant(chance: random.Random, account_id: AccountId, key: str) -> Request:
    lifetime_ms = chance.choice((3_000, 20_000, MINUTE_MS, 5 * MINUTE_MS, 60 * MINUTE_MS))
    return Request("grant", account_id, chance.randint(20, 250), key, lifetime_ms=lifetime_ms)
