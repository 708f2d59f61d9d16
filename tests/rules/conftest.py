"""The recorder of queries as a fixture."""

from collections.abc import Iterator

import pytest

from tests.rules.recorder import Recording, record_queries


@pytest.fixture
def recorded_queries() -> Iterator[Recording]:
    """What every Firestore client sends during the test."""
    with record_queries() as recording:
        yield recording
