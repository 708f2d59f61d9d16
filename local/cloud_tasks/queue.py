"""What a queue knows: its tasks, the names it has seen, when each is due, and how long one that failed waits.

As Cloud Tasks documents it: https://cloud.google.com/tasks/docs/reference/rpc/google.cloud.tasks.v2. Nothing here
touches a clock or the network.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from google.cloud import tasks_v2

TOMBSTONE_S = 24 * 3600
"""How long the name of a task that is done or deleted is refused. Google promises an hour and says up to a day."""
ATTEMPTS_MAX_DEFAULT = 100
BACKOFF_S_MIN_DEFAULT, BACKOFF_S_MAX_DEFAULT = 0.1, 3600.0
DOUBLINGS_MAX_DEFAULT = 16
DISPATCHES_PER_S_MAX_DEFAULT = 500.0
DISPATCHES_AT_ONCE_MAX_DEFAULT = 1000
DEADLINE_S_DEFAULT = 600


@dataclass(slots=True)
class Waiting:
    """A task, and what became of its attempts so far."""

    task: tasks_v2.Task
    due_at_s: float
    retries: int = 0
    """Attempts that failed."""
    executions: int = 0
    """Of these, those that were answered, and not with a 5xx."""
    first_attempt_at_s: float | None = None
    previous_response: int | None = None
    running: bool = False


@dataclass(slots=True)
class QueueState:
    """One queue. Its limits have Google's defaults where a deployment said nothing: see `with_defaults`."""

    queue: tasks_v2.Queue
    waiting: dict[str, Waiting] = field(default_factory=dict)
    """By the task's full name; it stays until a 2xx, its last attempt, or its deletion."""
    tombstones: dict[str, float] = field(default_factory=dict)
    """When each name may be used again."""
    next_dispatch_at_s: float = 0.0

    @property
    def paused(self) -> bool:
        """Whether it keeps its tasks to itself."""
        return self.queue.state == tasks_v2.Queue.State.PAUSED

    def knows(self, name: str, now_s: float) -> bool:
        """Whether a task of the name waits or was here not long ago."""
        return name in self.waiting or self.tombstones.get(name, 0.0) > now_s

    def forget(self, name: str, now_s: float) -> None:
        """Let a task go, and keep its name from being used again at once."""
        del self.waiting[name]
        self.tombstones[name] = now_s + TOMBSTONE_S

    def due(self, now_s: float) -> Iterator[Waiting]:
        """What should be under way by now, soonest first."""
        if not self.paused:
            ready = [one for one in self.waiting.values() if not one.running and one.due_at_s <= now_s]
            yield from sorted(ready, key=lambda one: one.due_at_s)

    def running_count(self) -> int:
        """How many attempts are under way."""
        return sum(one.running for one in self.waiting.values())

    def next_due_at_s(self) -> float | None:
        """When the next task is due; None when there is none."""
        if self.paused:
            return None
        return min((one.due_at_s for one in self.waiting.values() if not one.running), default=None)


def with_defaults(queue: tasks_v2.Queue) -> tasks_v2.Queue:
    """The queue as Google answers it: nothing is left open."""
    filled = tasks_v2.Queue(queue)
    rate, retry = filled.rate_limits, filled.retry_config
    rate.max_dispatches_per_second = rate.max_dispatches_per_second or DISPATCHES_PER_S_MAX_DEFAULT
    rate.max_concurrent_dispatches = rate.max_concurrent_dispatches or DISPATCHES_AT_ONCE_MAX_DEFAULT
    retry.max_attempts = retry.max_attempts or ATTEMPTS_MAX_DEFAULT
    if not retry.min_backoff:
        retry.min_backoff = {"nanos": int(BACKOFF_S_MIN_DEFAULT * 1e9)}
    if not retry.max_backoff:
        retry.max_backoff = {"seconds": int(BACKOFF_S_MAX_DEFAULT)}
    # Zero doublings and an unset number are the same on the wire.
    retry.max_doublings = retry.max_doublings or DOUBLINGS_MAX_DEFAULT
    filled.state = tasks_v2.Queue.State.RUNNING
    return filled


def backoff_s(retry: tasks_v2.RetryConfig, retries: int) -> float:
    """How long a task waits after its `retries`-th failure: doubled so many times, then growing by the last step.

    With 10 s, at most 300 s and 3 doublings: 10, 20, 40, 80, 160, 240, 300, 300, ...
    """
    shortest, longest = retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds()
    doubled = shortest * 2.0 ** min(retries - 1, retry.max_doublings)
    return min(longest, doubled * max(1, retries - retry.max_doublings))


def gives_up(retry: tasks_v2.RetryConfig, waiting: Waiting, now_s: float) -> bool:
    """Whether a task that failed is not tried again: after its last attempt, but not before its time has passed."""
    tried_s = now_s - (waiting.first_attempt_at_s or now_s)
    out_of_attempts = 0 < retry.max_attempts <= waiting.retries
    limit_s = retry.max_retry_duration.total_seconds() if retry.max_retry_duration else 0.0
    return out_of_attempts and tried_s >= limit_s
