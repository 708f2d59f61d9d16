"""Calls that a provider refuses or that are not begun: who is asked next, and what is left behind."""

import pytest

from shared.base.errors import CredenceError, Kind
from shared.catalog.errors import ModelUnknown
from shared.chat.errors import ChatInvalid
from shared.metering.errors import CallUnaffordable
from shared.providers.errors import UpstreamBusy, UpstreamRefused, UpstreamUnavailable
from shared.routing.errors import RouteAbsent
from shared.routing.models import Preference
from tests.chat.builders import request_of
from tests.chat.conftest import ADA, FUNDS_MICROS, Shop
from tests.chat.wire import STREAMED, parsed, words_of
from tests.providers import fake
from tests.providers.fake import KEY


async def ask(shop: Shop, *, streamed: bool, **timeouts: float) -> None:
    request = request_of(stream=streamed)
    chats = shop.chats(**timeouts)
    await (chats.stream if streamed else chats.answer)(shop.asking(), request)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_request_is_not_sent_to_another_provider(shop: Shop, streamed: bool, status: int) -> None:
    """What is wrong with it stays wrong; nothing is charged."""
    shop.first.replies.append(fake.refuse(status, "max_tokens is wrong"))

    with pytest.raises(UpstreamRefused, match="max_tokens is wrong"):
        await ask(shop, streamed=streamed)

    assert not shop.second.asked


BROKEN = {
    "401": fake.refuse(401, f"Incorrect API key: {KEY}-first"),
    "402": fake.refuse(402),
    "403": fake.refuse(403),
    "404": fake.refuse(404),
    "408": fake.refuse(408),
    "429": fake.refuse(429, headers={"retry-after": "3"}),
    "500": fake.refuse(500),
    "503": fake.refuse(503),
    "redirect": fake.refuse(302, headers={"location": "http://127.0.0.1:1/"}),
    "hang-up": fake.drop,
    "no JSON": fake.whole(b"<html>502 Bad Gateway</html>"),
    "no choices": fake.whole({"choices": [], "usage": fake.usage()}),
    "no answer": fake.whole({"error": {"message": "overloaded", "code": 502}}),
    "nothing": fake.whole(b""),
}
FAULTS = {"401": "key_refused", "402": "denied", "403": "denied", "404": "denied", "429": "rate_limited"}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", BROKEN)
async def test_another_provider_answers_inside_the_same_hold(shop: Shop, streamed: bool, fault: str) -> None:
    """Each is asked once, under its own name for the model and with its own key; one charge comes of it."""
    shop.first.replies.append(BROKEN[fault])
    shop.second.replies.append(
        fake.stream(*fake.hello()) if streamed else fake.whole(fake.completion(usage=fake.usage()))
    )
    chats = shop.chats()

    if streamed:
        stream = await chats.stream(shop.asking(), request_of(**STREAMED))
        assert words_of(parsed([event async for event in stream.events()])) == "Hello, world."
        await stream.close()
        headers = stream.headers
    else:
        headers = dict((await chats.answer(shop.asking(), request_of())).headers)

    (asked,) = shop.second.asked
    assert (asked.payload["model"], headers["x-credence-provider"]) == ("second/model", "second")
    assert asked.headers["Authorization"] == f"Bearer {KEY}-second"
    assert len(shop.first.asked) == 1
    assert headers["x-credence-route"] == f"first={FAULTS.get(fault, 'failed')}, second=answered"
    assert headers["x-credence-attempts"] == "2"
    facts = [dict(entry.facts) for entry in shop.captures()]
    assert [(one["provider"], one["upstream_model"], one["attempts"]) for one in facts] == [
        ("second", "second/model", "2")
    ]
    assert (await shop.head()).window.count == 1


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("replies", "kind", "retry_after_ms"),
    [
        # The last that can be asked is asked again: after as long as it says, or a moment.
        (["500", "429", "429"], UpstreamBusy, 1_000),
        (["429", "500", "500"], UpstreamUnavailable, 1_000),
        (["401", "403"], UpstreamUnavailable, 5_000),
    ],
)
async def test_when_nobody_answers_the_last_says_why(
    shop: Shop, streamed: bool, replies: list[str], kind: type[CredenceError], retry_after_ms: int
) -> None:
    """Free, the first asked once, and without a key in sight; the soonest of all says when to come back."""
    first, *rest = [BROKEN[reply] for reply in replies]
    shop.first.replies.append(first)
    shop.second.replies.extend(rest)

    with pytest.raises(kind) as refusal:
        await ask(shop, streamed=streamed)

    assert (len(shop.first.asked), len(shop.second.asked)) == (1, len(rest))
    assert retry_after_ms - 1_000 < int(refusal.value.details()["retry_after_ms"]) <= retry_after_ms
    assert KEY not in repr(refusal.getrepr(chain=True)) + str(refusal.value.details())
    assert str(refusal.value.details()["route"]).startswith("first=")
    assert not (await shop.head()).holds


@pytest.mark.parametrize("streamed", [False, True])
async def test_all_providers_share_the_time_of_one_call(shop: Shop, streamed: bool) -> None:
    """Else a slow first would leave the second writing after the function's own limit, and uncharged."""
    shop.first.replies.append(fake.mute)
    shop.second.replies.append(fake.whole(fake.completion()))

    with pytest.raises(UpstreamUnavailable):
        await ask(shop, streamed=streamed, call_timeout_s=0.2)

    assert not shop.second.asked


ROLE = fake.event(fake.chunk("", role="assistant"))
NOT_BEGUN = {
    "nothing": fake.stream(),
    "only done": fake.stream(fake.DONE),
    "no JSON": fake.stream(b"data: {oops\n\n"),
    "no object": fake.stream(b"data: []\n\n", *fake.hello()),
    "error event": fake.stream(fake.event({"error": {"message": f"bad key {KEY}"}}), fake.DONE),
    "error in a chunk": fake.stream(fake.event({**fake.chunk(finish="error"), "error": {"code": 502}})),
    "whole error": fake.stream(b'{"error": {"message": "overloaded"}}', content_type="application/json"),
    "whole answer": fake.whole(fake.completion(usage=fake.usage())),
    "page": fake.stream(b"<html>\n\ndata: no\n\n</html>", content_type="text/html"),
    "hang-up": fake.cut(),
    "hang-up within an event": fake.cut(fake.event(fake.chunk("y"))[:20]),
    "role and the end": fake.stream(ROLE),
    "role and a fault": fake.stream(ROLE, fake.event({"error": {"message": "overloaded"}})),
    "only usage": fake.stream(fake.event(fake.usage_chunk()), fake.DONE),
    "silence": fake.hang(b": processing\n\n"),
    "silence after a role": fake.hang(ROLE),
}


@pytest.mark.parametrize("fault", NOT_BEGUN)
async def test_a_stream_that_does_not_begin_is_asked_of_another(shop: Shop, fault: str) -> None:
    """Nothing of it was delivered, so the client sees one stream, pays one, and the route is the worse for it."""
    shop.first.replies.append(NOT_BEGUN[fault])
    shop.second.replies.append(fake.stream(*fake.hello()))
    chats = shop.chats(silence_timeout_s=0.2)

    stream = await chats.stream(shop.asking(), request_of(**STREAMED))
    chunks = parsed([event async for event in stream.events()])
    await stream.close()

    assert words_of(chunks) == "Hello, world."
    assert KEY not in str(chunks)
    assert stream.headers["x-credence-route"] == "first=failed, second=answered"
    assert [dict(entry.facts)["provider"] for entry in shop.captures()] == ["second"]
    assert (await shop.head()).window.count == 1


async def test_a_route_whose_streams_do_not_begin_is_rested(shop: Shop) -> None:
    """A 200 with a page in it is no answer: a provider behind a broken proxy says so to everybody."""
    shop.first.replies.extend([NOT_BEGUN["page"]] * 12)
    shop.second.replies.extend([fake.stream(*fake.hello())] * 12)
    chats = shop.chats()

    routes = []
    for _ in range(12):
        stream = await chats.stream(shop.asking(), request_of(**STREAMED))
        assert words_of(parsed([event async for event in stream.events()])) == "Hello, world."
        await stream.close()
        routes.append(stream.headers["x-credence-route"])

    # It stands back the more often it fails, and at last is not asked at all.
    assert routes[0] == "first=failed, second=answered"
    assert len(shop.first.asked) < 12


async def test_what_was_held_back_until_the_answer_began_is_told_in_order(shop: Shop) -> None:
    """Empty chunks come before the first word, and their usage counts."""
    empty = [fake.chunk("", role="assistant"), *([fake.chunk("")] * 3)]
    shop.first.replies.append(fake.stream(*map(fake.event, empty), *fake.hello()[1:]))

    stream = await shop.chats().stream(shop.asking(), request_of(**STREAMED))
    chunks = parsed([event async for event in stream.events()])
    await stream.close()

    assert chunks[:4] == empty
    assert words_of(chunks) == "Hello, world."
    assert await shop.spent_micros() == 30


async def test_a_model_that_sends_signs_of_life_has_begun_in_the_end(shop: Shop) -> None:
    """Some send empty chunks while they think: a client that waits for bytes must not give up meanwhile."""
    shop.first.replies.append(fake.hang(*[fake.event(fake.chunk(""))] * 8))
    chats = shop.chats()

    stream = await chats.stream(shop.asking(), request_of(**STREAMED))
    relay = stream.events()
    seen = parsed([await anext(relay) for _ in range(8)])
    await stream.close()

    assert seen == [fake.chunk("")] * 8


async def test_an_answer_that_breaks_off_is_asked_of_another(shop: Shop) -> None:
    """Nothing of it was delivered; a garbled one is the same."""
    shop.first.replies.append(fake.whole(b'{"choices": [{"message": {"content": "Hel'))
    shop.second.replies.append(fake.whole(fake.completion(usage=fake.usage())))

    answer = await shop.chats().answer(shop.asking(), request_of())

    assert answer.headers["x-credence-provider"] == "second"
    assert await shop.spent_micros() == 30


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_cannot_be_paid_reaches_no_provider(shop: Shop, streamed: bool) -> None:
    """The refusal states how long an answer could be, and exactly that much is then sold."""
    await shop.ledger.debit(ADA, FUNDS_MICROS - 1_000, key="spend", facts={})

    with pytest.raises(CallUnaffordable) as refusal:
        await ask(shop, streamed=streamed)

    affordable = int(refusal.value.details()["affordable_max_tokens"])
    assert refusal.value.kind is Kind.UNPAID
    assert not shop.first.asked
    with pytest.raises(CallUnaffordable):
        await shop.chats().answer(shop.asking(), request_of(max_tokens=affordable + 1, stream=streamed))
    shop.first.replies.append(fake.whole(fake.completion(usage=fake.usage(10**6, 10**6))))
    await shop.chats().answer(shop.asking(), request_of(max_tokens=affordable, stream=False))
    assert (await shop.head()).balance_micros < 10


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_cannot_be_priced_holds_nothing(shop: Shop, streamed: bool) -> None:
    """Refused before the ledger or a provider hears of it."""
    chats = shop.chats()
    ask_for = chats.stream if streamed else chats.answer
    with pytest.raises(ChatInvalid):
        await ask_for(shop.asking(), request_of(plugins=[{"id": "web"}]))
    with pytest.raises(ModelUnknown):
        await ask_for(shop.asking(), request_of(model="openai/o1-pro"))

    assert not shop.first.asked
    assert (await shop.head()).window.count == 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_provider_that_says_when_to_come_back_is_asked_again_then(shop: Shop, streamed: bool) -> None:
    """If no other can be asked. One charge comes of it."""
    shop.first.replies.append(fake.refuse(429, headers={"retry-after": "2"}))
    shop.first.replies.append(
        fake.stream(*fake.hello()) if streamed else fake.whole(fake.completion(usage=fake.usage()))
    )
    request, only_first = request_of(stream=streamed), Preference(only=("first",))

    if streamed:
        stream = await shop.chats().stream(shop.asking(only_first), request)
        assert words_of(parsed([event async for event in stream.events()])) == "Hello, world."
        await stream.close()
        headers = stream.headers
    else:
        headers = dict((await shop.chats().answer(shop.asking(only_first), request)).headers)

    assert headers["x-credence-route"] == "first=rate_limited, first=answered"
    assert 2.0 <= sum(shop.time.slept_s) < 2.5
    assert [dict(entry.facts)["attempts"] for entry in shop.captures()] == ["2"]
    assert not shop.second.asked


async def test_a_stream_that_has_begun_is_never_asked_again(shop: Shop) -> None:
    """Whatever it has said, and though another provider could; but its route is the worse for it."""
    shop.first.replies.append(fake.cut(fake.event(fake.chunk("Hel"))))
    chats = shop.chats()

    stream = await chats.stream(shop.asking(), request_of(**STREAMED))
    events = parsed([event async for event in stream.events()])
    await stream.close()

    assert any(event and event.get("error") for event in events)
    assert (len(shop.first.asked), len(shop.second.asked)) == (1, 0)


async def test_a_preferred_provider_is_the_only_one_asked(shop: Shop) -> None:
    """And one that does not serve the model is refused before anything is held."""
    shop.second.replies.append(fake.whole(fake.completion(usage=fake.usage())))
    chats = shop.chats()

    answer = await chats.answer(shop.asking(Preference(only=("second",))), request_of())
    with pytest.raises(RouteAbsent, match="first, second"):
        await chats.answer(shop.asking(Preference(only=("third",))), request_of())

    assert answer.headers["x-credence-route"] == "second=answered"
    assert not shop.first.asked
    assert (await shop.head()).window.count == 1


async def test_a_call_that_nobody_may_be_asked_for_is_free(shop: Shop) -> None:
    """Both rest for longer than a call waits; the client hears when the first is back."""
    for provider, seconds in ((shop.first, "60"), (shop.second, "50")):
        provider.replies.append(fake.refuse(429, headers={"retry-after": seconds}))
    chats = shop.chats()

    refusals = []
    for _ in range(2):
        with pytest.raises(UpstreamBusy) as refusal:
            await chats.answer(shop.asking(), request_of())
        refusals.append(refusal.value.details())

    assert [refusal["route"] for refusal in refusals] == [
        "first=rate_limited, second=rate_limited",
        "first=resting, second=resting",
    ]
    assert all(49_000 < int(refusal["retry_after_ms"]) <= 50_000 for refusal in refusals)
    assert not (await shop.head()).holds
    assert not shop.time.slept_s
