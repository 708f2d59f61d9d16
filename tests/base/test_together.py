"""Work side by side ends together, however it ends."""

import asyncio

import pytest

from shared.base.together import all_of, both


class Work:
    """Takes a moment, and says whether it came to its end or was stopped."""

    def __init__(self) -> None:
        self.ended = ""

    async def run(self) -> int:
        try:
            await asyncio.sleep(5)
            self.ended = "done"
        except asyncio.CancelledError:
            # Letting go takes a moment too.
            await asyncio.sleep(0)
            self.ended = "stopped"
            raise
        return 1


async def value(number: int) -> int:
    return number


async def refuse() -> str:
    raise LookupError("refused")


async def test_all_answer_in_the_order_of_the_question() -> None:
    assert await all_of(value(number) for number in (3, 1, 2)) == [3, 1, 2]
    assert await both(value(1), value(2)) == (1, 2)


async def test_when_one_fails_the_others_have_ended_before_that_is_told() -> None:
    first, second = Work(), Work()

    with pytest.raises(LookupError):
        await both(first.run(), refuse())
    with pytest.raises(LookupError):
        await all_of([second.run(), refuse()])

    assert (first.ended, second.ended) == ("stopped", "stopped")


async def test_when_the_caller_is_stopped_nothing_goes_on() -> None:
    work = Work()
    caller = asyncio.ensure_future(all_of([work.run(), value(1)]))
    await asyncio.sleep(0.01)

    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert work.ended == "stopped"


async def test_of_nothing_nothing_comes() -> None:
    assert await all_of([]) == []
