"""The simulation is not blind: the ledger without any one of its safeguards is found out."""

import pytest

from simulation.world import simulate
from tests.simulation.mutants import MUTANTS, Breakage

pytestmark = pytest.mark.slow

SEEDS_MAX = 1_500
"""Most are found in the first fifty; some need a commit that lingers over the end of a window, or an account that is
full."""


@pytest.mark.parametrize("breakage", MUTANTS, ids=lambda breakage: breakage.__name__)
def test_a_missing_safeguard_is_found(breakage: Breakage, monkeypatch: pytest.MonkeyPatch) -> None:
    breakage(monkeypatch)

    assert any(simulate(seed).violation for seed in range(SEEDS_MAX))
