"""Has keys tried, later and by a function of its own."""

from shared.resources.models import KEY_VALIDATE, ContributedKey, KeyValidate
from shared.tasks.service import Tasks


async def post_validation(tasks: Tasks, key: ContributedKey, *, at_ms: int | None = None) -> None:
    """Have a key tried, once for each time that it is due. Raise TasksUnavailable."""
    await tasks.post(KEY_VALIDATE, KeyValidate(key_id=key.id), name_key=f"{key.id}:{key.check_at_ms}", at_ms=at_ms)
