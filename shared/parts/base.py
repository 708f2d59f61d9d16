"""What all parts of the app are built from: settings, a clock, Firestore."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.base.clock import Clock, system_clock
from shared.base.settings import Settings

if TYPE_CHECKING:
    from google.cloud.firestore import AsyncClient


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
