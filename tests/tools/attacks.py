"""A program in the sandbox, which prints `stolen` or `broken` where it gets further than it should."""

import pytest

from shared.tools.models import Limits, Ran
from shared.tools.sandbox import Sandbox

SECRET = "sk-a-secret-that-must-not-be-seen"
QUICK = Limits(wall_s=20.0, cpu_s=3, memory_bytes_max=256 * 1024 * 1024, files_bytes_max=1024 * 1024, files_max=8)
EVERYWHERE = pytest.mark.parametrize("namespaces", [True, False], ids=["namespaces", "landlock-alone"])


async def attack(program: str, *, namespaces: bool, limits: Limits = QUICK) -> Ran:
    """What becomes of a program. It prints `stolen` or `broken` where it gets further than it should."""
    ran = await Sandbox(limits, namespaces=namespaces).run(program)
    assert "stolen" not in ran.stdout
    assert "broken" not in ran.stdout
    assert SECRET not in ran.stdout + ran.stderr
    assert not {"TypeError", "SyntaxError"} & set(ran.stderr.replace(":", " ").split()), ran.stderr
    return ran
