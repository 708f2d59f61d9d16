"""The environment that a function of the web layer's tests finds, and what it writes to the log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local process with a project; nothing here reaches an emulator."""
    monkeypatch.setenv("ENVIRONMENT", "local")
    monkeypatch.setenv("PROJECT_ID", "demo-web")


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was logged since the last look."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
