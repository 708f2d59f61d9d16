"""The part of `google.cloud.tasks.v2.CloudTasks` that Credence and its tests use, for any client library over gRPC."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import grpc
from google.cloud import tasks_v2
from google.protobuf import empty_pb2

from local.cloud_tasks.dispatch import Dispatcher, Faults
from local.cloud_tasks.queue import QueueState, Waiting, with_defaults
from local.oidc import LocalIssuer

SERVICE = "google.cloud.tasks.v2.CloudTasks"
TASK_BYTES_MAX = 100 * 1024
AHEAD_S_MAX = 30 * 86_400
DEADLINE_S_MIN, DEADLINE_S_MAX = 15, 1_800
PAGE_SIZE_MAX = 1_000
_QUEUE_NAME = re.compile(r"projects/([a-z0-9:.-]+)/locations/[a-z0-9-]+/queues/[A-Za-z0-9-]{1,100}")
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,500}")

Context = Any
"""grpc.aio.ServicerContext, whose `abort` never returns."""


class CloudTasksService:
    """Queues in memory, for as long as the process lives. Belongs to one event loop."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._queues: dict[str, tuple[QueueState, Dispatcher]] = {}
        self.issuers: dict[str, LocalIssuer] = {}
        """Who signs tokens for a project's tasks."""
        self.faults: dict[str, Faults] = {}

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server is given."""
        methods: Mapping[str, tuple[Callable[[Any, Context], Any], Any, Any]] = {
            "CreateQueue": (self.create_queue, tasks_v2.CreateQueueRequest, tasks_v2.Queue),
            "GetQueue": (self.get_queue, tasks_v2.GetQueueRequest, tasks_v2.Queue),
            "PauseQueue": (self.pause_queue, tasks_v2.PauseQueueRequest, tasks_v2.Queue),
            "ResumeQueue": (self.resume_queue, tasks_v2.ResumeQueueRequest, tasks_v2.Queue),
            "CreateTask": (self.create_task, tasks_v2.CreateTaskRequest, tasks_v2.Task),
            "GetTask": (self.get_task, tasks_v2.GetTaskRequest, tasks_v2.Task),
            "ListTasks": (self.list_tasks, tasks_v2.ListTasksRequest, tasks_v2.ListTasksResponse),
            "DeleteTask": (self.delete_task, tasks_v2.DeleteTaskRequest, None),
            "RunTask": (self.run_task, tasks_v2.RunTaskRequest, tasks_v2.Task),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method,
                    request_deserializer=request.deserialize,
                    response_serializer=answer.serialize if answer else empty_pb2.Empty.SerializeToString,
                )
                for name, (method, request, answer) in methods.items()
            },
        )

    async def stop(self) -> None:
        """Deliver nothing more."""
        for _, dispatcher in self._queues.values():
            await dispatcher.stop()

    async def create_queue(self, request: tasks_v2.CreateQueueRequest, context: Context) -> tasks_v2.Queue:
        name = request.queue.name
        found = _QUEUE_NAME.fullmatch(name)
        if not found or not name.startswith(f"{request.parent}/queues/"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The queue's name is not one of its parent's.")
        if name in self._queues:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "Queue already exists.")
        project = found[1] if found else ""
        state = QueueState(with_defaults(request.queue))
        faults = self.faults.setdefault(project, Faults())
        self._queues[name] = state, Dispatcher(state, self._session, lambda: self.issuers.get(project), faults)
        return state.queue

    async def get_queue(self, request: tasks_v2.GetQueueRequest, context: Context) -> tasks_v2.Queue:
        state, _ = await self._queue(request.name, context)
        return state.queue

    async def pause_queue(self, request: tasks_v2.PauseQueueRequest, context: Context) -> tasks_v2.Queue:
        return await self._switch(request.name, tasks_v2.Queue.State.PAUSED, context)

    async def resume_queue(self, request: tasks_v2.ResumeQueueRequest, context: Context) -> tasks_v2.Queue:
        return await self._switch(request.name, tasks_v2.Queue.State.RUNNING, context)

    async def create_task(self, request: tasks_v2.CreateTaskRequest, context: Context) -> tasks_v2.Task:
        state, dispatcher = await self._queue(request.parent, context)
        now_s, task = time.time(), tasks_v2.Task(request.task)
        if not task.name:
            task.name = f"{request.parent}/tasks/{secrets.token_hex(10)}"
        if fault := _fault(request, task, now_s):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, fault)
        if state.knows(task.name, now_s):
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "The task cannot be created because it exists or did.")
        due_at_s = task.schedule_time.timestamp() if task.schedule_time else now_s
        task.http_request.http_method = task.http_request.http_method or tasks_v2.HttpMethod.POST
        if not task.schedule_time:
            task.schedule_time = _timestamp(now_s)
        task.create_time = _timestamp(now_s)
        state.waiting[task.name] = Waiting(task, max(due_at_s, now_s))
        dispatcher.wake()
        return task

    async def get_task(self, request: tasks_v2.GetTaskRequest, context: Context) -> tasks_v2.Task:
        _, waiting, _ = await self._task(request.name, context)
        return waiting.task

    async def list_tasks(self, request: tasks_v2.ListTasksRequest, context: Context) -> tasks_v2.ListTasksResponse:
        state, _ = await self._queue(request.parent, context)
        names = sorted(name for name in state.waiting if name > request.page_token)
        size = min(request.page_size or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
        more = names[size - 1] if len(names) > size else ""
        tasks = [state.waiting[name].task for name in names[:size]]
        return tasks_v2.ListTasksResponse(tasks=tasks, next_page_token=more)

    async def delete_task(self, request: tasks_v2.DeleteTaskRequest, context: Context) -> empty_pb2.Empty:
        """An attempt that is under way goes on."""
        state, waiting, dispatcher = await self._task(request.name, context)
        state.forget(waiting.task.name, time.time())
        dispatcher.wake()
        return empty_pb2.Empty()

    async def run_task(self, request: tasks_v2.RunTaskRequest, context: Context) -> tasks_v2.Task:
        """At once, whatever its schedule and whether or not its queue is paused."""
        _, waiting, dispatcher = await self._task(request.name, context)
        if not waiting.running:
            dispatcher.run_now(waiting)
        return waiting.task

    async def _switch(self, name: str, to: tasks_v2.Queue.State, context: Context) -> tasks_v2.Queue:
        state, dispatcher = await self._queue(name, context)
        state.queue.state = to
        dispatcher.wake()
        return state.queue

    async def _queue(self, name: str, context: Context) -> tuple[QueueState, Dispatcher]:
        if name not in self._queues:
            await context.abort(grpc.StatusCode.NOT_FOUND, "Queue does not exist.")
        return self._queues[name]

    async def _task(self, name: str, context: Context) -> tuple[QueueState, Waiting, Dispatcher]:
        state, dispatcher = await self._queue(name.rpartition("/tasks/")[0], context)
        if name not in state.waiting:
            await context.abort(grpc.StatusCode.NOT_FOUND, "The task does not exist.")
        return state, state.waiting[name], dispatcher


def _fault(request: tasks_v2.CreateTaskRequest, task: tasks_v2.Task, now_s: float) -> str | None:
    """Why Cloud Tasks would not take the task."""
    parent, _, task_id = task.name.rpartition("/tasks/")
    if parent != request.parent or not _TASK_ID.fullmatch(task_id):
        return "The task's name is not one of its queue's."
    if not task.http_request.url.startswith(("http://", "https://")):
        return "HttpRequest.url must start with http:// or https://."
    if tasks_v2.Task.pb(task).ByteSize() > TASK_BYTES_MAX:
        return "Task size too large."
    if task.schedule_time and task.schedule_time.timestamp() - now_s > AHEAD_S_MAX:
        return "The schedule_time is too far in the future."
    deadline_s = task.dispatch_deadline.total_seconds() if task.dispatch_deadline else DEADLINE_S_MIN
    if not DEADLINE_S_MIN <= deadline_s <= DEADLINE_S_MAX:
        return "The dispatch_deadline must be between 15 seconds and 30 minutes."
    return None


def _timestamp(at_s: float) -> dict[str, int]:
    return {"seconds": int(at_s), "nanos": int(at_s % 1 * 1e9)}
