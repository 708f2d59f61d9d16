"""The contracts of the local chain are what their source says."""

import json
from pathlib import Path

import pytest

from local.chain.anvil import compiled_anew

COMMITTED = Path(__file__).parents[2] / "local" / "chain" / "contracts.json"


@pytest.mark.slow
def test_the_committed_code_is_what_the_compiler_makes_of_the_source() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == compiled_anew()
