"""What may be imported where, beyond what import-linter says of our own packages."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUTSIDE = {"google", "grpc", "aiohttp", "requests", "firebase_admin", "openai", "stripe", "langchain", "langgraph"}
"""Cloud and provider SDKs, and whatever else talks to the network."""
MAY_CALL_OUT = {
    "store.py",
    "sums.py",
    "archive.py",
    "marks.py",
    "windows.py",
    "sales.py",
    "income.py",
    "lapsed.py",
    "orders.py",
    "tickets.py",
    "transfers.py",
    "waiting.py",
    "memory_store.py",
    "complaint_store.py",
    "session_store.py",
    "contexts.py",
    "protobuf.py",
    "gateway.py",
    "connections.py",
    "fetcher.py",
    "google.py",
    "graph.py",
    "run.py",
    "saver.py",
    "app.py",
    "base.py",
}
"""Stores (the ledger has seven, reconciliation four, pools three, one writes protocol buffers, two add up, one waits),
gateways (those of models and of payments keep their connections apart), what fetches for them, what graphs are and what
keeps their checkpoints, and the place that builds them, whose base is `parts/base.py`."""


def imports_of(path: Path, packages: set[str]) -> set[str]:
    """Which of the packages a file imports, anywhere in it."""
    source = path.read_text(encoding="utf-8")
    # Most files name none, and to read one as a tree takes long.
    if not any(package in source for package in packages):
        return set()
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found & packages


def test_sdks_appear_only_in_stores_gateways_and_the_app() -> None:
    for path in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/*.py")]:
        # What kinds of jobs there are is said in graphs.
        outside = OUTSIDE - {"langgraph"} if path.is_relative_to(ROOT / "shared" / "agents") else OUTSIDE
        if path.name not in MAY_CALL_OUT:
            assert not imports_of(path, outside), f"{path.relative_to(ROOT)} calls out"


def test_the_scan_sees_an_sdk_where_there_is_one() -> None:
    assert "google" in imports_of(ROOT / "shared" / "ledger" / "store.py", OUTSIDE)
    assert "aiohttp" in imports_of(ROOT / "shared" / "providers" / "connections.py", OUTSIDE)


def test_every_module_says_what_it_is_for() -> None:
    for folder in ("shared", "functions", "credence", "local", "bench", "mutants"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            text = path.read_text(encoding="utf-8")
            assert not text or re.match(r'r?"""\S', text), f"{path.relative_to(ROOT)} has no docstring"


def test_no_file_grows_beyond_three_hundred_lines() -> None:
    for folder in ("shared", "functions", "credence", "local", "mutants"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            assert path.read_text(encoding="utf-8").count("\n") <= 300, f"{path.relative_to(ROOT)} is worth splitting"
