"""What loading a kind of job loads."""

import subprocess
import sys

import pytest

from local.node import REPOSITORY
from shared.agents.errors import JobInvalid
from shared.agents.registry import MODULES, kind_of, params_of

HEAVY = {"langgraph", "langchain_core", "pandas", "matplotlib", "numpy", "aiohttp"}


def loaded_by(program: str) -> set[str]:
    """Which of the heavy packages a fresh process has after a program."""
    printed = f"{program}\nimport sys\nprint(*({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", printed], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_starting_a_job_loads_no_graphs_and_nothing_that_only_programs_need() -> None:
    """Whoever starts one needs its params, and a name is no more than its own module."""
    found = loaded_by("from shared.agents.registry import MODULES, kind_of\nfor name in MODULES: kind_of(name)")

    assert not found & {"langgraph", "langchain_core", "pandas", "matplotlib", "numpy"}
    one = "import sys\nfrom shared.agents.registry import kind_of\nkind_of('code')\n"
    assert loaded_by(f"{one}assert 'shared.agents.kinds.data' not in sys.modules") <= {"aiohttp"}


def test_running_programs_loads_none_of_their_packages_here() -> None:
    """Not even by looking where they are installed."""
    program = (
        "import asyncio\nfrom shared.tools.sandbox import Sandbox\n"
        "ran = asyncio.run(Sandbox().run('import pandas, matplotlib; print(1)'))\nassert ran.stdout == '1\\n', ran"
    )

    assert loaded_by(program) == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_kind_is_called_what_it_is_asked_by(name: str) -> None:
    kind = kind_of(name)

    assert kind.name == name
    assert kind.steps_max > 0


def test_what_is_no_kind_or_no_params_is_told_as_such() -> None:
    with pytest.raises(JobInvalid) as refusal:
        kind_of("mining")
    assert refusal.value.param == "kind"
    with pytest.raises(JobInvalid) as refusal:
        params_of(kind_of("data"), {"question": "?", "tables": {"a.csv": "x" * 50_001}})
    assert refusal.value.param == "params"
