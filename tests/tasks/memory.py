"""Queues that only remember, for tests of who posts."""

from shared.tasks.errors import TasksUnavailable
from shared.tasks.service import Task


class MemoryQueues:
    """Keeps every task under its name; fails on demand, before or after the task was kept."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.fails_before = False
        self.fails_after = False

    async def create(self, task: Task) -> bool:
        if self.fails_before:
            raise TasksUnavailable
        is_new = task.task_id not in self.tasks
        self.tasks.setdefault(task.task_id, task)
        if self.fails_after:
            raise TasksUnavailable
        return is_new
