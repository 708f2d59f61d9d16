"""What every store of kept answers promises, Firestore's and the one in memory alike; and how they are used."""

import time
from collections.abc import AsyncIterator

import pytest

from local.stack import Stack
from shared.answers.models import KeptAnswer
from shared.answers.service import Answers, AnswerStore, AnswersUnavailable
from shared.answers.store import FirestoreAnswers
from shared.base.clock import system_clock
from shared.base.ids import AccountId
from shared.base.units import Unit
from tests.answers.memory import MemoryAnswers
from tests.database import firestore_at
from tests.ledger.builders import NOW, Ticker

ADA, BEN = AccountId("user:ada"), AccountId("user:ben")
QUESTION = {"model": "maker/model", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = KeptAnswer(
    content="Hello \u2028 \ud83d",
    told_model="upstream/model",
    created_s=1_700_000_000,
    provider="first",
    upstream_model="first/model",
    counts={Unit.PROMPT_TOKEN: 1, Unit.COMPLETION_TOKEN: 2},
    reported={"prompt_tokens": 1, "completion_tokens": 2, "odd": [None, 1.5, 10**30]},
)


class AnswersContract:
    """Subclassed once per store; `store` is empty at first, and `now_ms` is the server's time."""

    async def test_what_was_put_is_got_until_it_expires(self, store: AnswerStore, now_ms: int) -> None:
        await store.put("name", b"locked", expires_at_ms=now_ms + 60_000)
        await store.put("old", b"locked", expires_at_ms=now_ms - 1)

        assert await store.get("name") == b"locked"
        assert await store.get("old") is None
        assert await store.get("other") is None

    async def test_a_later_one_takes_the_place(self, store: AnswerStore, now_ms: int) -> None:
        for locked in (b"first", b"second"):
            await store.put("name", locked, expires_at_ms=now_ms + 60_000)

        assert await store.get("name") == b"second"

    async def test_an_answer_is_found_by_who_kept_it(self, store: AnswerStore, now_ms: int) -> None:
        """Exactly as it was, and by nobody else; an operator may decide otherwise."""
        own = Answers(store, lambda: now_ms, shared=False)
        await own.keep(own.place_of(ADA, QUESTION), ANSWER)

        assert await own.find(own.place_of(ADA, QUESTION)) == ANSWER
        assert await own.find(own.place_of(BEN, QUESTION)) is None
        assert await own.find(own.place_of(ADA, {**QUESTION, "seed": 1})) is None
        shared = Answers(store, lambda: now_ms, shared=True)
        assert await shared.find(shared.place_of(ADA, QUESTION)) is None
        await shared.keep(shared.place_of(ADA, QUESTION), ANSWER)
        assert await shared.find(shared.place_of(BEN, QUESTION)) == ANSWER

    async def test_the_longest_answer_that_is_kept_fits(self, store: AnswerStore, now_ms: int) -> None:
        """A document takes no more than a mebibyte."""
        answers = Answers(store, lambda: now_ms, shared=False)
        place = answers.place_of(ADA, QUESTION)
        for chars, kept in ((1_000_001, False), (999_000, True)):
            answer = KeptAnswer("x" * chars, "m", 0, "p", "u", {}, {})
            await answers.keep(place, answer)
            assert (await answers.find(place) == answer) is kept


class TestMemoryAnswers(AnswersContract):
    """The fake."""

    @pytest.fixture
    def store(self) -> AnswerStore:
        return MemoryAnswers()

    @pytest.fixture
    def now_ms(self) -> int:
        return NOW


class TestFirestoreAnswers(AnswersContract):
    """The real one, on the emulator."""

    @pytest.fixture
    async def store(self, stack: Stack, project_id: str) -> AsyncIterator[AnswerStore]:
        async with firestore_at(stack.firestore_address, project_id) as client:
            yield FirestoreAnswers(client)

    @pytest.fixture
    def now_ms(self) -> int:
        return system_clock()


async def test_a_store_that_is_down_is_unavailable_within_a_second() -> None:
    """Then the model is asked."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        begun_s = time.monotonic()
        with pytest.raises(AnswersUnavailable):
            await FirestoreAnswers(client).get("name")
        with pytest.raises(AnswersUnavailable):
            await FirestoreAnswers(client).put("name", b"locked", expires_at_ms=0)
        assert time.monotonic() - begun_s < 5


async def test_a_store_that_is_down_stops_nobody() -> None:
    """What cannot be read is not there, and what cannot be kept is not."""
    store = MemoryAnswers()
    store.down = True
    answers = Answers(store, Ticker(), shared=False)
    place = answers.place_of(ADA, QUESTION)

    await answers.keep(place, ANSWER)

    assert await answers.find(place) is None
