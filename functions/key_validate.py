"""Try a contributed key at its provider's own address, and write down what came of it. Called by Cloud Tasks.

It may come several times, also at once: an outcome is written over exactly what was read, and an advance is lent once.
"""

from shared.app import App
from shared.resources.models import KeyId, KeyValidate
from shared.web.task import task_function


@task_function(body=KeyValidate, imports_ahead="shared.providers.connections")
async def key_validate(asked: KeyValidate, app: App) -> None:
    """Raise ValidationPending, ContributionBusy, VaultUnavailable or LedgerUnavailable, which bring the task back."""
    await app.key_validation.validate(KeyId(asked.key_id))
