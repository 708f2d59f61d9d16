"""A shop with an open wallet, once for every rail."""

import pytest

from tests.payments.builders import BENCHES, Shop
from tests.payments.stripe_bench import StripeBench


@pytest.fixture(params=BENCHES, ids=[bench.name.value for bench in BENCHES])
def bench(request: pytest.FixtureRequest) -> type[StripeBench]:
    kind: type[StripeBench] = request.param
    return kind


@pytest.fixture
async def shop(bench: type[StripeBench]) -> Shop:
    made = Shop(bench)
    await made.open_wallet()
    return made
