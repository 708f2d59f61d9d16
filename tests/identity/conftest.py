"""Google's stand-in, the clock, and an Identity between them."""

from collections.abc import Iterator

import pytest

from shared.identity.service import Identity
from tests.identity.builders import ManualClock, build_identity
from tests.identity.cases import PUBLISHED
from tests.identity.google import Google, serve_google
from tests.identity.tokens import UID


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def google() -> Iterator[Google]:
    """Publishes the key `published` and knows Alice."""
    with serve_google() as google:
        google.certificates = {PUBLISHED.kid: PUBLISHED.certificate}
        google.accounts = {UID: {"email": "alice@example.com", "emailVerified": True, "validSince": "1500000000"}}
        yield google


@pytest.fixture
def identity(google: Google, clock: ManualClock) -> Identity:
    return build_identity(google, clock)
