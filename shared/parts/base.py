"""What all parts of the app are built from: settings, a clock, Firestore, queues."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.base.clock import Clock, system_clock
from shared.base.settings import Environment, Settings, SettingsWrong

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient

    from shared.risk.service import Risk
    from shared.tasks.service import Tasks


class Parts:
    """Collaborators, each built on first use. Imports stand in the properties: a function pays only for its own."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock

    @cached_property
    def firestore(self) -> "AsyncClient":
        from google.cloud.firestore import AsyncClient

        # The client library itself reads FIRESTORE_EMULATOR_HOST; settings refuse that variable in production.
        return AsyncClient(project=self.settings.project_id)

    @cached_property
    def risk(self) -> "Risk":
        """Raise SettingsWrong where nothing keeps the hashes of people apart from everybody's guesses."""
        from shared.base.secret import Secret
        from shared.risk.service import Risk
        from shared.risk.store import FirestoreRisk

        key = self.settings.risk_key
        if key is None and self.settings.environment is Environment.LOCAL:
            key = Secret("of a machine where nobody is anybody")
        if key is None:
            raise SettingsWrong("RISK_KEY is needed where people sign up or pay")
        store = FirestoreRisk(self.firestore)
        return Risk(store, key, self.clock, address_from_end=int(self.settings.address_from_end))

    @cached_property
    def tasks(self) -> "Tasks":
        """Raise SettingsWrong where nothing says which queues there are."""
        from shared.tasks.gateway import CloudTasks
        from shared.tasks.service import Tasks

        if self.settings.task_url is None:
            raise SettingsWrong("TASK_URL is needed to post tasks")
        return Tasks(CloudTasks.from_settings(self.settings), self.settings.task_url, self.clock)
