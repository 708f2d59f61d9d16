"""A shop with an open wallet, once for every rail."""

import pytest

from tests.payments.bench import Bench
from tests.payments.builders import BENCHES, Shop


@pytest.fixture(params=BENCHES, ids=[bench.name.value for bench in BENCHES])
def bench(request: pytest.FixtureRequest) -> type[Bench]:
    kind: type[Bench] = request.param
    return kind


@pytest.fixture
async def shop(bench: type[Bench]) -> Shop:
    made = Shop(bench)
    await made.open_wallet()
    return made
