"""What goes wrong in one seed, and how often. Every rate is drawn anew for each seed, and many are zero in it.

A seed in which only one thing fails, but often, finds what a seed in which everything fails hides.
"""

import random

from msgspec import Struct

RATE_IS_ZERO = 0.3
SKEW_MS_MAX = 10_000
LONG_LIFE = 2
LONG_RUN_SHARE = 0.25
LEG_S_MIN, LEG_S_MAX = 0.001, 0.015
"""One way over the network, on a good day."""
DEADLINE_S = 5.0
"""When a caller gives an unanswered store up; the store's own deadline."""
LATE_S_MAX = 12.0
"""How long a commit may wander after its caller gave it up."""
LINGER_S_MAX = 9.0
"""How long a server may sit on a commit that it has received, and stamped, before anybody can see it. Longer than any
caller waits; the ledger's own margins, of ten seconds and more, are made for this."""

SLOW_S_MAX = 4.0
"""How long the answer of a read may take, short of the deadline."""


class Rates(Struct, frozen=True):
    """Shares from 0 to 1, and what else differs between seeds."""

    lost: float = 0.0
    """Of the commits, those that never arrive."""
    unacknowledged: float = 0.0
    """Of the commits, those that are done and whose answer is lost."""
    aborted: float = 0.0
    """Of the commits, those that the store turns down for no reason of ours."""
    late: float = 0.0
    """Of the commits, those that arrive at any time, and often after their caller gave up."""
    lingering: float = 0.0
    """Of the commits, those that are seen long after the server's time that is written into them."""
    unread: float = 0.0
    """Of the reads, those that get no answer."""
    slow: float = 0.0
    """Of the reads, those whose answer is old by the time it comes."""
    duplicated: float = 0.0
    """Of the requests, those that are delivered once more, later."""
    reordered: float = 0.0
    """Of the requests, those that are overtaken by others."""
    strayed: float = 0.0
    """Of the requests, those that reach another process than the account's own, whose cached head is stale."""
    disconnected: float = 0.0
    """Of the requests, those whose caller hangs up."""
    skewed: bool = False
    """Whether clocks differ between processes."""
    jumped: float = 0.0
    """Of the readings of a clock, those before which it jumps."""
    steps_per_kill: int = 0
    """How many awaits a process outlives, on average; 0 is for ever."""
    minted: float = 0.0
    """Of the sums for an epoch record, those in which credits came from nowhere."""
    gentle: float = 0.0
    """Of the deaths, those that cancel what runs instead of cutting it off."""


CALM = Rates()


def draw_rates(chance: random.Random, *, long_lived: bool = False) -> Rates:
    """The rates of a seed, each within the bounds of the bar for simulation.

    A run of a timer takes many calls more than a request and fails with any of them, so where there are timers, calls
    fail less often and processes live longer: now and then a run must come to its end.
    """
    often = LONG_RUN_SHARE if long_lived else 1.0

    def upto(most: float) -> float:
        return 0.0 if chance.random() < RATE_IS_ZERO else chance.uniform(0, most)

    return Rates(
        lost=upto(0.3 * often),
        unacknowledged=upto(0.3 * often),
        aborted=upto(0.3 * often),
        late=upto(0.3 * often),
        lingering=upto(0.3),
        unread=upto(0.3 * often),
        slow=upto(0.2),
        duplicated=upto(0.5),
        reordered=upto(0.5),
        strayed=upto(1.0),
        disconnected=upto(0.1),
        skewed=chance.random() > RATE_IS_ZERO,
        jumped=upto(0.1),
        steps_per_kill=0
        if chance.random() < RATE_IS_ZERO
        else chance.randint(15, 300) * (LONG_LIFE if long_lived else 1),
        gentle=upto(0.5),
        minted=upto(0.2),
    )


class Faults:
    """Draws each single fault. Its rates drop to zero when the calm begins."""

    def __init__(self, chance: random.Random, rates: Rates) -> None:
        self.chance = chance
        self.rates = rates

    def happens(self, rate: float) -> bool:
        """Whether something of this rate happens now."""
        return rate > 0 and self.chance.random() < rate

    def commit_fault(self) -> str:
        """What befalls a commit; "none" mostly."""
        draw, rates = self.chance.random(), self.rates
        for name in ("lost", "unacknowledged", "aborted", "late", "lingering"):
            rate = getattr(rates, name)
            if draw < rate:
                return name
            draw -= rate
        return "none"

    def read_fault(self) -> str:
        """What befalls a read; "none" mostly."""
        if self.happens(self.rates.unread):
            return "lost"
        return "slow" if self.happens(self.rates.slow) else "none"

    def leg_s(self) -> float:
        """How long one way over the network takes."""
        # What `uniform` does, without calling it: nothing else is drawn as often.
        return LEG_S_MIN + (LEG_S_MAX - LEG_S_MIN) * self.chance.random()

    def error_after_s(self) -> float:
        """When the caller of a lost call learns of it: a reset connection shows at once, silence at the deadline."""
        return self.leg_s() if self.chance.random() < 0.7 else DEADLINE_S

    def skew_ms(self) -> int:
        """By how much a clock is wrong."""
        return self.chance.randint(-SKEW_MS_MAX, SKEW_MS_MAX) if self.rates.skewed else 0

    def steps_until_death(self) -> int | None:
        """After how many awaits a process dies; None is never."""
        mean = self.rates.steps_per_kill
        return 1 + int(self.chance.expovariate(1 / mean)) if mean else None
