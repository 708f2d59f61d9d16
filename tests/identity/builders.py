"""A clock that tests own, and an Identity made of the real parts."""

from dataclasses import dataclass

import requests

from shared.base.callers import parse_callers
from shared.base.clock import Clock
from shared.identity.gateway import Certificates, FirebaseAccounts
from shared.identity.service import Identity
from tests.identity.google import Google
from tests.identity.tokens import AUDIENCE, PROJECT, WORKER


@dataclass
class ManualClock:
    """Stands still until a test moves it."""

    now_ms: int = 1_790_000_000_000

    def __call__(self) -> int:
        return self.now_ms

    @property
    def now_s(self) -> int:
        return self.now_ms // 1000


def build_identity(google: Google, clock: Clock) -> Identity:
    """All of it real, but for Google."""
    return Identity(
        project_id=PROJECT,
        service_audience=AUDIENCE,
        callers=parse_callers(f"credit:debit={WORKER} timer={WORKER},cron@example.com"),
        user_signatures=Certificates(google.certificates_url, clock),
        service_signatures=Certificates(google.certificates_url, clock),
        accounts=FirebaseAccounts(PROJECT, base_url=google.url, open_session=requests.Session),
        clock=clock,
    )
