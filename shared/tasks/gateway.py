"""Cloud Tasks over gRPC, with the libraries that Firestore's client has loaded already."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import google.auth
import grpc
from google.api_core import grpc_helpers_async
from google.auth.exceptions import GoogleAuthError

from shared.base.settings import Settings, SettingsWrong
from shared.tasks import protobuf
from shared.tasks.errors import TasksUnavailable
from shared.tasks.service import Task

ADDRESS = "cloudtasks.googleapis.com:443"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What the service account may do is for IAM to say: enqueue tasks, and act as the account that tasks carry."""
ATTEMPT_TIMEOUT_S = 5.0
CREDENTIALS_TIMEOUT_S = 10.0
"""Once in a process. The library's own tries at a metadata server that is silent go on for longer."""
ATTEMPTS_MAX = 3
"""A repeat is harmless, for the name makes it one task."""
BACKOFF_S = 0.2
"""Doubled after each attempt."""
_WORTH_RETRYING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED)

CreateTask = Callable[..., Awaitable[bytes]]


class CloudTasks:
    """Creates tasks whose deliveries carry an OIDC token of `service_account` for `audience`."""

    def __init__(self, *, location: str, service_account: str, audience: str, emulator_host: str | None) -> None:
        """`location` is `projects/{project}/locations/{location}`. Nothing is connected to before the first task."""
        self._location = location
        self._service_account = service_account
        self._audience = audience
        self._emulator_host = emulator_host
        self._opening: asyncio.Task[CreateTask] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raise SettingsWrong where it is not said where tasks go, or as whom they come back."""
        place, account, audience = settings.tasks_location, settings.task_service_account, settings.service_audience
        if place is None or account is None or audience is None:
            raise SettingsWrong("TASKS_LOCATION, TASK_SERVICE_ACCOUNT and SERVICE_AUDIENCE are needed to post tasks")
        return cls(
            location=f"projects/{settings.project_id}/locations/{place}",
            service_account=account,
            audience=audience,
            emulator_host=settings.cloud_tasks_emulator_host,
        )

    async def create(self, task: Task) -> bool:
        parent = f"{self._location}/queues/{task.queue}"
        request = self._request(parent, task)
        create_task = await self._create_task()
        for attempt in range(ATTEMPTS_MAX):
            try:
                # Google's front ends find the region of a request by this header.
                routed = (("x-goog-request-params", f"parent={parent}"),)
                await create_task(request, timeout=ATTEMPT_TIMEOUT_S, metadata=routed)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                    return False
                if error.code() not in _WORTH_RETRYING or attempt == ATTEMPTS_MAX - 1:
                    raise TasksUnavailable from error
            else:
                return True
            await asyncio.sleep(BACKOFF_S * 2**attempt)
        raise TasksUnavailable

    def _request(self, parent: str, task: Task) -> Any:
        request = protobuf.create_task_request()()
        request.parent = parent
        request.task.name = f"{parent}/tasks/{task.task_id}"
        request.task.dispatch_deadline.seconds = task.deadline_s
        if task.at_ms is not None:
            request.task.schedule_time.FromMilliseconds(task.at_ms)
        http = request.task.http_request
        http.url, http.http_method, http.body = task.url, protobuf.POST, task.body
        http.headers.add(key="content-type", value="application/json")
        http.oidc_token.service_account_email = self._service_account
        http.oidc_token.audience = self._audience
        return request

    async def _create_task(self) -> CreateTask:
        """The call on the one channel of this process, opened by whoever comes first."""
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> CreateTask:
        if self._emulator_host:
            channel = grpc.aio.insecure_channel(self._emulator_host)
        else:
            # Reads a file or asks the metadata server, and blocks meanwhile.
            try:
                async with asyncio.timeout(CREDENTIALS_TIMEOUT_S):
                    credentials, _ = await asyncio.to_thread(google.auth.default, scopes=[SCOPE])
            except (GoogleAuthError, TimeoutError) as error:
                raise TasksUnavailable from error
            channel = grpc_helpers_async.create_channel(ADDRESS, credentials=credentials)
        call: CreateTask = channel.unary_unary(
            protobuf.CREATE_TASK,
            request_serializer=lambda message: message.SerializeToString(),
            # What Google answers is the task as we sent it.
            response_deserializer=bytes,
        )
        return call
