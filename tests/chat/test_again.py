"""Answers told again: to whom, at what price, with which receipt; and what is never kept."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from shared.base.economy import ANSWER_LIFETIME_MS
from shared.base.ids import AccountId
from shared.chat.models import ChatAnswer, ChatRequest
from tests.chat.builders import image, request_of, says, text
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.chat.wire import STREAMED, WITH_USAGE, parsed, words_of
from tests.providers import fake

USE = {"credence_cache": "use"}
WHOLE = fake.whole(fake.completion(usage=fake.usage(100, 200)))
BEN = AccountId("user:ben")
HALVES = "😀".encode("utf-16")
"""One character of two halves, which are told one by one and belong together."""


async def ask(shop: Shop, *messages: dict[str, Any], **fields: object) -> ChatAnswer:
    return await shop.chats().answer(shop.asking(), request_of(*messages, **{**USE, **fields}))


async def stream(shop: Shop, **fields: object) -> tuple[list[Any], dict[str, str]]:
    """The events of a streamed call, and its headers."""
    relayed = await shop.stream(request_of(**{**USE, **STREAMED, **fields}))
    try:
        return parsed([event async for event in relayed.events()]), dict(relayed.headers)
    finally:
        await relayed.close()


def cache_of(answer: ChatAnswer) -> str:
    return answer.headers["x-credence-cache"]


async def test_the_same_question_is_answered_again_for_a_tenth(shop: Shop) -> None:
    """The provider is asked once. The second receipt is a posting of its own, and its counts times rates make it up."""
    shop.first.replies.append(WHOLE)

    first, second = await ask(shop), await ask(shop)

    assert (cache_of(first), cache_of(second)) == ("miss", "hit")
    assert len(shop.first.asked) == 1
    assert second.body["choices"] == first.body["choices"]
    assert second.body["id"] != first.body["id"]
    assert second.body["created"] == first.body["created"]
    assert second.body["model"] == first.body["model"]
    [made, told] = shop.captures()
    assert (made.delta_micros, told.delta_micros) == (-300, -30)
    assert second.headers["x-credence-receipt"] == told.entry_id != made.entry_id
    assert second.body["usage"]["cost_details"] == {"charged_micros": 30, "receipt_id": told.entry_id}
    facts = dict(told.facts)
    assert (facts["cache"], facts["provider"], facts["upstream_model"]) == ("hit", "first", "first/model")
    assert (facts["prompt_tokens"], facts["prompt_tokens_rate"]) == ("100", "100000")
    assert "cache" not in dict(made.facts)


async def test_nothing_of_it_is_asked_of_a_provider(shop: Shop) -> None:
    """Our field is none of theirs."""
    shop.first.replies.append(WHOLE)

    await ask(shop)

    assert "credence_cache" not in shop.first.asked[0].payload


@pytest.mark.parametrize("first_streamed", [False, True])
async def test_whole_and_streamed_calls_share_an_answer(shop: Shop, first_streamed: bool) -> None:
    """However it was first sent, it is told again as a client asks for it now."""
    shop.first.replies.append(fake.stream(*fake.hello()) if first_streamed else WHOLE)
    if first_streamed:
        chunks, headers = await stream(shop)
        assert (words_of(chunks), headers["x-credence-cache"]) == ("Hello, world.", "miss")
    else:
        await ask(shop)
    said = "Hello, world." if first_streamed else "Hello."

    chunks, headers = await stream(shop)
    whole = await ask(shop)

    assert (words_of(chunks), headers["x-credence-cache"]) == (said, "hit")
    assert (whole.body["choices"][0]["message"]["content"], cache_of(whole)) == (said, "hit")
    assert headers["x-credence-receipt"] in {entry.entry_id for entry in shop.captures()}


async def test_a_stream_told_again_is_one_of_openais(shop: Shop) -> None:
    """A role first, pieces, one finish, usage at the end for whoever asked, and the mark of the end."""
    long = "word " * 300
    shop.first.replies.append(fake.whole(fake.completion(long, usage=fake.usage())))
    await ask(shop)

    chunks, _ = await stream(shop, **WITH_USAGE)

    *pieces, told, done = chunks
    assert done is None
    assert (told["choices"], told["usage"]["cost_details"]["charged_micros"]) == ([], 3)
    assert pieces[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert all(piece["object"] == "chat.completion.chunk" for piece in pieces)
    assert len({(piece["id"], piece["created"], piece["model"]) for piece in pieces}) == 1
    assert words_of(chunks) == long
    assert len(pieces) > 4
    without, _ = await stream(shop)
    assert all(chunk is None or chunk["choices"] for chunk in without)


@pytest.mark.parametrize("fields", [{}, {"n": 2, **USE}])
async def test_whoever_does_not_ask_for_it_costs_no_read(shop: Shop, fields: dict[str, object]) -> None:
    """Nothing is looked up and nothing is kept; several answers at once are not kept either."""
    shop.first.replies += [WHOLE, WHOLE]

    for _ in range(2):
        answer = await shop.chats().answer(shop.asking(), request_of(**fields))
        assert cache_of(answer) == "off"

    assert (shop.kept.reads, shop.kept.kept) == (0, {})
    assert len(shop.first.asked) == 2


async def test_one_read_is_all_that_a_lookup_takes(shop: Shop) -> None:
    shop.first.replies.append(WHOLE)

    await ask(shop)
    await ask(shop)

    assert shop.kept.reads == 2


OTHER_QUESTIONS: dict[str, tuple[list[dict[str, Any]], dict[str, object]]] = {
    "another text": ([says("hi!")], {}),
    "another role": ([says("hi", "system")], {}),
    "more messages": ([says(), says()], {}),
    "parts": ([says([text("hi")])], {}),
    "a temperature": ([], {"temperature": 0}),
    "a seed": ([], {"seed": 1}),
    "a cap": ([], {"max_tokens": 5}),
    "a cap by its newer name": ([], {"max_completion_tokens": 5}),
    "a format": ([], {"response_format": {"type": "json_object"}}),
    "a tool": ([], {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    "a stop": ([], {"stop": ["x"]}),
}


@pytest.mark.parametrize("question", OTHER_QUESTIONS)
async def test_another_question_is_asked(shop: Shop, question: str) -> None:
    """All that an answer may depend on makes another question."""
    messages, fields = OTHER_QUESTIONS[question]
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop)

    assert cache_of(await ask(shop, *messages, **fields)) == "miss"


async def test_another_model_is_asked(shop: Shop) -> None:
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop)

    assert cache_of(await ask(shop, model="maker/eyes")) == "miss"


async def test_an_image_is_part_of_the_question(shop: Shop) -> None:
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop, says([image("https://example.com/a.png")]), model="maker/eyes")

    assert cache_of(await ask(shop, says([image("https://example.com/b.png")]), model="maker/eyes")) == "miss"


async def test_accounts_do_not_hear_each_others_answers(shop: Shop) -> None:
    """Word for word the same question; another account's answer could tell that, and what, somebody asked."""
    await shop.ledger.open(BEN)
    await shop.ledger.grant_promo(BEN, FUNDS_MICROS, lifetime_ms=10**10, key="funds", facts={})
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop)

    answer = await shop.chats().answer(replace(shop.asking(), account_id=BEN), request_of(**USE))

    assert cache_of(answer) == "miss"
    shop.store.entries = {ref: document for ref, document in shop.store.entries.items() if ref[0] == ADA}


def changed(**choice: object) -> dict[str, Any]:
    body = fake.completion(usage=fake.usage())
    return {**body, "choices": [{**body["choices"][0], **choice}]}


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
NEVER_KEPT = {
    "cut at the cap": changed(finish_reason="length"),
    "filtered": changed(finish_reason="content_filter"),
    "a tool is called": fake.completion(None, usage=fake.usage(), tool_calls=[CALL]),
    "refused": fake.completion("No.", usage=fake.usage(), refusal="No."),
    "with thoughts": fake.completion(usage=fake.usage(), reasoning_content="Hm."),
    "with probabilities": changed(logprobs={"content": [{"token": "Hello."}]}),
    "unended": changed(finish_reason=None),
    "uncounted": fake.completion(),
    "counted beyond what was held": fake.completion(usage=fake.usage(10**6, 10**6)),
    "nothing": fake.completion("", usage=fake.usage()),
    "too long": fake.completion("x" * 1_000_001, usage=fake.usage()),
}


@pytest.mark.parametrize("answer", NEVER_KEPT)
async def test_what_is_no_whole_plain_answer_is_not_kept(shop: Shop, answer: str) -> None:
    shop.first.replies += [fake.whole(NEVER_KEPT[answer]), WHOLE]

    await ask(shop)

    assert shop.kept.kept == {}
    assert cache_of(await ask(shop)) == "miss"


BROKEN_STREAMS = {
    "broken off": [fake.event(fake.chunk("Hel"))],
    "failed": [fake.event(fake.chunk("Hel")), fake.event({"error": {"message": "no"}, "choices": []})],
    "cut at the cap": [*map(fake.event, [fake.chunk("Hel"), fake.chunk(finish="length"), fake.usage_chunk()])],
    "a tool is called": [
        *map(fake.event, [fake.chunk(tool_calls=[CALL]), fake.chunk(finish="stop"), fake.usage_chunk()])
    ],
}


@pytest.mark.parametrize("broken", BROKEN_STREAMS)
async def test_a_stream_that_did_not_end_well_is_not_kept(shop: Shop, broken: str) -> None:
    shop.first.replies.append(fake.stream(*BROKEN_STREAMS[broken]))

    await stream(shop)

    assert shop.kept.kept == {}


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(shop: Shop) -> None:
    shop.first.replies.append(fake.stream(*fake.hello()))
    relayed = await shop.stream(request_of(**USE, **STREAMED))
    async for _ in relayed.events():
        break
    await relayed.close()

    assert shop.kept.kept == {}


async def test_an_answer_is_not_told_beyond_its_time(shop: Shop) -> None:
    """By the store's own clock, whether or not it was deleted yet."""
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop)
    shop.kept.now_ms += ANSWER_LIFETIME_MS

    assert cache_of(await ask(shop)) == "miss"


async def test_a_store_that_does_not_answer_makes_it_an_ordinary_call(shop: Shop) -> None:
    """Asked, answered and charged as if nothing had been wished for."""
    shop.first.replies += [WHOLE, fake.stream(*fake.hello())]
    shop.kept.down = True

    assert (await ask(shop)).body["usage"]["cost_details"]["charged_micros"] == 300
    assert words_of((await stream(shop))[0]) == "Hello, world."


async def test_what_is_kept_shows_neither_question_nor_answer(shop: Shop) -> None:
    """Name and text are of no use to whoever does not know the question."""
    shop.first.replies.append(fake.whole(fake.completion("a secret answer", usage=fake.usage())))

    await ask(shop, says("a secret question"))

    [(name, (locked, _))] = shop.kept.kept.items()
    assert b"secret" not in locked + name.encode()


async def test_a_changed_document_is_not_told(shop: Shop) -> None:
    shop.first.replies += [WHOLE, WHOLE]
    await ask(shop)
    [(name, (locked, expires_at_ms))] = shop.kept.kept.items()
    shop.kept.kept[name] = (locked[:-1] + bytes([locked[-1] ^ 1]), expires_at_ms)

    assert cache_of(await ask(shop)) == "miss"


async def test_half_a_character_is_told_again_as_it_came(shop: Shop) -> None:
    """Providers cut between the halves of one where a token ends."""
    said = [fake.chunk("\ud83d"), fake.chunk("\ude00"), fake.chunk(finish="stop"), fake.usage_chunk()]
    shop.first.replies.append(fake.stream(*map(fake.event, said), fake.DONE))
    first, _ = await stream(shop)

    second, headers = await stream(shop)

    assert headers["x-credence-cache"] == "hit"
    assert [words.encode("utf-16", "surrogatepass") for words in (words_of(first), words_of(second))] == [HALVES] * 2


async def test_an_answer_told_again_must_be_paid_for(shop: Shop) -> None:
    """Two hundred at once from an account that can pay for few: no more is told than was paid."""
    shop.first.replies.append(WHOLE)
    await ask(shop)
    await shop.ledger.debit(ADA, FUNDS_MICROS - 300 - 30 * 7, key="spend", facts={})
    request: ChatRequest = request_of(**USE)
    chats = shop.chats()

    calls = (chats.answer(shop.asking(), request) for _ in range(50))
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert len([one for one in answers if isinstance(one, ChatAnswer)]) == 7
    assert (await shop.head()).balance_micros == 0
