"""docs/operating.md against the code: an operator finds every setting, scope and alarm there."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from local.manifest import read_manifest
from local.node import REPOSITORY
from shared.base.settings import Settings
from shared.proof.checkpoint import BROKEN, UNBALANCED

PAGE = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))
CONSTANTS = {"BROKEN": BROKEN, "UNBALANCED": UNBALANCED}
"""Messages that the code writes by a name."""


def critical_messages(path: Path) -> Iterator[str]:
    """What the module says to the log with the severity that wakes somebody."""
    source = path.read_text(encoding="utf-8")
    # Few files have any, and to read one as a tree takes long.
    for node in ast.walk(ast.parse(source)) if "CRITICAL" in source else ():
        match node:
            case ast.Call(args=[ast.Constant("CRITICAL"), ast.Constant(str(message)), *_]):
                yield message
            case ast.Call(args=[ast.Constant("CRITICAL"), ast.Name(name), *_]):
                yield CONSTANTS[name]


def test_every_setting_is_named() -> None:
    """A stranger sets up a deployment from this page."""
    assert {name.upper() for name in Settings.__struct_fields__} - NAMED == set()


def test_every_scope_is_named() -> None:
    """What no scope is given for, nobody may call."""
    functions = [getattr(import_module(f"functions.{row.name}"), row.name) for row in read_manifest()]
    scopes = {scope for function in functions if (scope := getattr(function.contract, "scope", None))}

    assert {"timer", "credit:debit"} <= scopes
    assert scopes - NAMED == set()


def test_every_alarm_is_explained() -> None:
    """And no alarm is explained that nothing raises."""
    found = {message for path in (REPOSITORY / "shared").rglob("*.py") for message in critical_messages(path)}
    told = {name for line in PAGE.splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z_]+)`", line)}

    assert len(found) > 5
    assert found - told == set()
    assert {name for name in told if name.startswith(("ledger_", "log_", "epoch_", "settlement_", "charge_"))} <= found
