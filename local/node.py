"""Where the Node.js programs of the local stack are found."""

import shutil
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NODE_MODULES = REPOSITORY / "node_modules"


class NodeMissing(Exception):
    """Node.js or a package of package.json is not installed; the message says how to get it."""


def node_command(entry: Path, *options: str | Path) -> list[str | Path]:
    """`node entry` without a wrapper, so that the child we start is the program itself. Raise NodeMissing."""
    node = shutil.which("node")
    if node is None:
        raise NodeMissing("no `node` on PATH: install Node.js 20.15 or newer, then run `make setup`")
    if not entry.exists():
        raise NodeMissing(f"{entry.relative_to(REPOSITORY)} is missing: run `make setup`")
    return [node, *options, entry]
