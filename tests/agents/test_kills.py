"""A worker killed at any moment: the job finishes, comes to the same, costs the same, and pays each step once.

A few kills of each kind here; `make kills` makes many.
"""

import pytest

from tests.agents.kills import CASES, kill
from tests.agents.yard import Yard

KILLS = 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(CASES))
async def test_a_job_whose_worker_is_killed_comes_to_the_same(yard: Yard, kind: str) -> None:
    report = await kill(yard, kind, kills=KILLS, seed=7)

    assert report.kills == KILLS
