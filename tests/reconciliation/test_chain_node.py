"""The same books over a real local chain, with a real token: its logs, its blocks' times, its balances."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local.chain.anvil import Chain
from shared.chain.errors import ChainUnavailable
from shared.reconciliation.chain import ASSET, ChainStatements
from shared.reconciliation.days import day_of, moved, start_ms
from shared.reconciliation.models import Line, LineKind
from tests.chain.builders import PRICE, World, node_at

DAY_S = 86_400


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One of its own: its time is set forward by days."""
    folder: Path = tmp_path_factory.mktemp("books")
    started = Chain(folder)
    yield started
    started.stop()


@pytest.fixture
async def world(chain: Chain) -> AsyncIterator[World]:
    node, endpoint = node_at(chain.url, chain.chain_id)
    yield World(chain, node)
    await endpoint.close()


def next_day(chain: Chain) -> str:
    """Go on at noon of the next day, with everything before it final; the day that begins."""
    now_s = int(chain.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    day = moved(day_of(now_s * 1000), 1)
    chain.ask("evm_setNextBlockTimestamp", start_ms(day) // 1000 + DAY_S // 2)
    chain.mine()
    chain.finalize()
    return day


async def all_lines(statements: ChainStatements, day: str) -> list[Line]:
    found: list[Line] = []
    cursor: str | None = None
    while True:
        page = await statements.lines(day, cursor)
        found += page.lines
        cursor = page.cursor
        if cursor is None:
            return found


async def test_a_days_lines_are_what_its_blocks_did_to_the_balance(world: World) -> None:
    before = next_day(world.chain)
    ada = world.person()
    early = ada.pay(PRICE)
    day = next_day(world.chain)
    paid = [ada.pay(PRICE), ada.pay(2 * PRICE)]
    world.chain.ask("anvil_setBalance", world.token.receiver, hex(10**18))
    world.chain.send(world.token.receiver, world.token.asset, "transfer(address,uint256)", ada.address, PRICE)
    ada.pay(PRICE, to=ada.address)
    next_day(world.chain)
    statements = ChainStatements(world.node, world.token)

    lines = await all_lines(statements, day)

    assert [(line.kind, line.amount_minor) for line in lines] == [
        (LineKind.PAYMENT, PRICE),
        (LineKind.PAYMENT, 2 * PRICE),
        (LineKind.PAYOUT, -PRICE),
    ]
    assert [line.line_id.partition("-")[0] for line in lines[:2]] == paid
    assert [line.line_id.partition("-")[0] for line in await all_lines(statements, before)] == [early]
    opening, closing = await statements.balances(before), await statements.balances(day)
    assert opening == {ASSET: PRICE}
    assert closing == {ASSET: PRICE + sum(line.net_minor for line in lines)}
    for line in lines:
        assert await statements.line(line.line_id) == line


async def test_another_token_is_no_dollar(world: World) -> None:
    day = next_day(world.chain)
    other = world.chain.deploy("Dollar")
    ada = world.person()
    world.chain.send(world.chain.accounts[0], other, "mint(address,uint256)", ada.address, PRICE)
    ada.pay(PRICE, asset=other)
    next_day(world.chain)

    assert await all_lines(ChainStatements(world.node, world.token), day) == []


async def test_what_a_node_will_not_tell_is_no_answer(world: World) -> None:
    with pytest.raises(ChainUnavailable):
        await world.node.balance(world.token, at_block=10**9)
    head = await world.node.head()
    assert await world.node.moved(world.token, from_block=head.number, to_block=head.number) == []
