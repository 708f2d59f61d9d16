"""Delivers what is due: HTTP requests as Cloud Tasks makes them, again with growing pauses until a 2xx."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
from google.cloud import tasks_v2

from local.cloud_tasks.queue import DEADLINE_S_DEFAULT, QueueState, Waiting, backoff_s, gives_up
from local.oidc import LocalIssuer


@dataclass(slots=True)
class Faults:
    """What goes wrong on purpose with the next deliveries of a project; each counts down as it is used."""

    duplicates: int = 0
    """So many deliveries are made twice, at the same time."""
    lost_answers: int = 0
    """So many successful answers are not heard, so their tasks come again."""
    delays: int = 0
    """So many deliveries wait for `delay_s` first."""
    delay_s: float = 0.0

    def take(self, name: str) -> bool:
        """Whether the fault happens now."""
        left = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return bool(left)


class Dispatcher:
    """Works one queue off. Belongs to one event loop."""

    def __init__(
        self,
        state: QueueState,
        session: aiohttp.ClientSession,
        issuer: Callable[[], LocalIssuer | None],
        faults: Faults,
    ) -> None:
        """`issuer` mints the tokens of the project; without one, none is sent."""
        self._state = state
        self._session = session
        self._issuer = issuer
        self._faults = faults
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._loop = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Look again: a task came, went, or the queue was paused or resumed."""
        self._changed.set()

    async def stop(self) -> None:
        """Deliver nothing more, and leave what is under way."""
        for task in (self._loop, *self._running):
            task.cancel()
        await asyncio.gather(self._loop, *self._running, return_exceptions=True)

    def run_now(self, waiting: Waiting) -> None:
        """Deliver a task whether or not it is due."""
        waiting.running = True
        attempt = asyncio.create_task(self._attempt(waiting))
        self._running.add(attempt)
        attempt.add_done_callback(self._running.discard)

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            now_s = time.time()
            pause_s = self._dispatch_due(now_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), pause_s)

    def _dispatch_due(self, now_s: float) -> float | None:
        """Start what may start now; how long until more may. None: until something changes."""
        limits = self._state.queue.rate_limits
        for waiting in self._state.due(now_s):
            if self._state.running_count() >= limits.max_concurrent_dispatches:
                return None
            if self._state.next_dispatch_at_s > now_s:
                return self._state.next_dispatch_at_s - now_s
            earliest_s = max(self._state.next_dispatch_at_s, now_s)
            self._state.next_dispatch_at_s = earliest_s + 1 / limits.max_dispatches_per_second
            self.run_now(waiting)
        next_s = self._state.next_due_at_s()
        return None if next_s is None else max(0.0, next_s - now_s)

    async def _attempt(self, waiting: Waiting) -> None:
        """One delivery, and what follows from its answer."""
        now_s = time.time()
        waiting.first_attempt_at_s = waiting.first_attempt_at_s or now_s
        waiting.task.dispatch_count += 1
        if self._faults.take("delays"):
            await asyncio.sleep(self._faults.delay_s)
        status = await self._deliver(waiting)
        if status is not None and 200 <= status < 300 and self._faults.take("lost_answers"):
            status = None
        waiting.running = False
        if self._state.waiting.get(waiting.task.name) is waiting:
            self._settle(waiting, status, time.time())
        self.wake()

    def _settle(self, waiting: Waiting, status: int | None, now_s: float) -> None:
        if status is not None:
            waiting.task.response_count += 1
            if 200 <= status < 300:
                self._state.forget(waiting.task.name, now_s)
                return
        waiting.retries += 1
        waiting.executions += status is not None and status < 500
        waiting.previous_response = status
        retry = self._state.queue.retry_config
        if gives_up(retry, waiting, now_s):
            self._state.forget(waiting.task.name, now_s)
            return
        waiting.due_at_s = now_s + backoff_s(retry, waiting.retries)

    async def _deliver(self, waiting: Waiting) -> int | None:
        """The status of the answer; None when there was none. What is delivered twice has the first one's answer."""
        twice = asyncio.create_task(self._post(waiting)) if self._faults.take("duplicates") else None
        status = await self._post(waiting)
        if twice is not None:
            await twice
        return status

    async def _post(self, waiting: Waiting) -> int | None:
        task, request = waiting.task, waiting.task.http_request
        deadline_s = task.dispatch_deadline.total_seconds() if task.dispatch_deadline else DEADLINE_S_DEFAULT
        try:
            async with self._session.request(
                tasks_v2.HttpMethod(request.http_method).name,
                request.url,
                data=request.body or None,
                headers={**request.headers, **self._headers(waiting)},
                timeout=aiohttp.ClientTimeout(total=deadline_s),
                allow_redirects=False,
            ) as response:
                await response.read()
                return int(response.status)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None

    def _headers(self, waiting: Waiting) -> dict[str, str]:
        """What Cloud Tasks adds: https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler."""
        parts = waiting.task.name.split("/")
        headers = {
            "user-agent": "Google-Cloud-Tasks",
            "x-cloudtasks-queuename": parts[5],
            "x-cloudtasks-taskname": parts[7],
            "x-cloudtasks-taskretrycount": str(waiting.retries),
            "x-cloudtasks-taskexecutioncount": str(waiting.executions),
            "x-cloudtasks-tasketa": f"{waiting.due_at_s:.6f}",
        }
        if waiting.previous_response is not None:
            headers["x-cloudtasks-taskpreviousresponse"] = str(waiting.previous_response)
        token, issuer = waiting.task.http_request.oidc_token, self._issuer()
        if token.service_account_email and issuer is not None:
            audience = token.audience or waiting.task.http_request.url
            signed = issuer.token(token.service_account_email, audience=audience)
            headers["authorization"] = f"Bearer {signed}"
        return headers
