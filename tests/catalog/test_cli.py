"""`python -m credence catalog` and `seed`, run as an operator runs them."""

import asyncio
import os
import sys
from pathlib import Path

from local.stack import Stack
from shared.catalog.service import COMPILED, Catalog

ROOT = Path(__file__).parents[2]


async def run(*arguments: str, environment: dict[str, str]) -> tuple[int | None, str, str]:
    """Exit code, standard output, standard error."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "credence", *arguments),
        env={**kept, **environment},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_seeding_twice_writes_once(stack: Stack, project_id: str) -> None:
    """Every row of the file, and then none."""
    environment, rows = stack.environment(project_id), len(Catalog.from_file(frozenset()).rows())

    code, out, err = await run("seed", "--project", project_id, environment=environment)
    assert (code, out) == (0, f"seeded: {rows} new, 0 with a new price, 0 left as operators set them\n"), err
    code, out, err = await run("seed", environment=environment)
    assert (code, out) == (0, "seeded: 0 new, 0 with a new price, 0 left as operators set them\n"), err


async def test_seeding_needs_a_project() -> None:
    """It says how to name one."""
    code, out, err = await run("seed", environment={})

    assert (code, out) == (2, "")
    assert "--project" in err


async def test_compiling_changes_nothing_that_is_compiled_already() -> None:
    """The same text makes the same bytes."""
    before = COMPILED.read_bytes()

    code, out, err = await run("catalog", environment={})

    assert (code, out.split(":")[0]) == (0, "compiled"), err
    assert COMPILED.read_bytes() == before
