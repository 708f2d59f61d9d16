"""The simulation is not blind: the ledger without any one of its safeguards is found out."""

from collections.abc import Mapping

import pytest

from simulation.world import simulate
from tests.simulation.mutants import MUTANTS, Breakage

pytestmark = pytest.mark.slow

SEEDS_MAX = 1_500
"""Most are found in the first fifty; some need a commit that lingers over the end of a window, or an account that is
full."""

FINDS: Mapping[str, int] = {
    "dead_holds_counted": 55,
    "windows_closed_too_early": 79,
    "cursor_over_unfinished": 450,
    "expired_lots_revived": 98,
    "extension_cuts_short": 34,
}
"""Which seed found a rare one the last time, to be tried first. Where it finds nothing any more, all are tried."""


@pytest.mark.parametrize("breakage", MUTANTS, ids=lambda breakage: breakage.__name__)
def test_a_missing_safeguard_is_found(breakage: Breakage, monkeypatch: pytest.MonkeyPatch) -> None:
    breakage(monkeypatch)

    seeds = (FINDS.get(breakage.__name__, 0), *range(SEEDS_MAX))
    assert any(simulate(seed).violation for seed in seeds)
