"""The local stack for tests: started once per session, with a fresh project for every test."""

import gc
import secrets
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from local.deployment import Deployment
    from local.stack import Stack

# Fifty examples keep `make check` short. Nothing is timed: a busy machine is slow, not wrong.
settings.register_profile("credence", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("credence")
RECURSION_LIMIT = sys.getrecursionlimit()
# Modules and tests are a million objects that live to the end: to look through them again and again finds nothing.
gc.set_threshold(20_000)


@pytest.fixture(scope="session")
def stack() -> "Iterator[Stack]":
    """Firestore, Auth and the model stand-in, shared by all tests; `project_id` keeps their data apart."""
    # Loaded where it is needed, like the deployment: the process that deals out the tests runs none of them.
    from local.stack import Stack

    with Stack() as started:
        yield started


@pytest.fixture(scope="session")
def deployment(stack: "Stack") -> "Iterator[Deployment]":
    """Every function served over the stack; all tests share its project, so each brings its own people."""
    from local.deployment import Deployment

    with Deployment(stack, f"demo-{secrets.token_hex(8)}") as started:
        yield started


@pytest.fixture
def project_id() -> str:
    """A project nobody used before: the emulators isolate by project."""
    return f"demo-{secrets.token_hex(8)}"


def pytest_collection_finish() -> None:
    """Leave out what was collected when memory is looked through while the tests run."""
    gc.freeze()


def pytest_runtest_setup() -> None:
    """Have the usual limit: py_ecc, which x402's library loads, raises it until deep JSON ends the process."""
    sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the stack, before `-m` selects."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)
