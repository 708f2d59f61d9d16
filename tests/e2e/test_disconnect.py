"""Clients and gateways that vanish in the middle of a stream, with real sockets and a real SIGKILL."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.ledger.errors import CreditTooLow
from tests.clients import add_member, balance_micros, call
from tests.e2e.books import Books, account_of
from tests.functions.framework import start_alone

LONG_CHARS = 4_000
"""What [[long]] says in all, in 200 pieces over a second."""
ASKED_WITHIN_S = 0.5
"""From the hold until the provider is asked; [[slow]] answers after two seconds."""
HOLD_LIFETIME_MS = 15 * 60_000
READ_TIMEOUT_S = 30.0
POLL_S = 0.05
CONTENT = b'"content":"'


@asynccontextmanager
async def asking(url: str, person: Person, prompt: str, *, stream: bool) -> AsyncIterator[asyncio.StreamReader]:
    """A socket on which an answer is awaited; leaving the block tears it down without a goodbye."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request_bytes(person, prompt, stream=stream))
        await writer.drain()
        yield reader
    finally:
        writer.transport.abort()


def streaming(deployment: Deployment, person: Person, prompt: str) -> AbstractAsyncContextManager[asyncio.StreamReader]:
    """The same for an answer that streams."""
    return asking(deployment.url, person, prompt, stream=True)


def request_bytes(person: Person, prompt: str, *, stream: bool) -> bytes:
    asked = {
        "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 2_000,
        "stream": stream,
    }
    body = json.dumps(asked).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: credence",
        f"authorization: Bearer {person.token}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


async def read_pieces(reader: asyncio.StreamReader, count: int) -> bytes:
    """Read until so many pieces of content have come."""
    seen = b""
    async with asyncio.timeout(READ_TIMEOUT_S):
        while seen.count(CONTENT) < count:
            piece = await reader.read(4096)
            assert piece, f"the answer ended early: {seen!r}"
            seen += piece
    return seen


async def facts_of_only_charge(books: Books, person: Person) -> dict[str, Any]:
    (entry,) = await books.charges(person)
    return dict(entry.facts)


@pytest.fixture(scope="module", params=["drain", "estimate", "free"])
def with_policy(request: pytest.FixtureRequest, stack: Stack) -> Iterator[tuple[str, Deployment]]:
    """A deployment whose stand-in has one of the three policies."""
    extra = {"STANDIN_DISCONNECT": request.param}
    with Deployment(stack, f"demo-{secrets.token_hex(8)}", environment=extra) as started:
        yield request.param, started


async def test_a_client_that_vanishes_is_charged_as_the_policy_says(
    stack: Stack, with_policy: tuple[str, Deployment]
) -> None:
    """Drain: the whole answer, as reported. Estimate: what was delivered. Free: nothing. Never a hold left."""
    policy, deployment = with_policy
    person = add_member(stack, deployment)
    before = balance_micros(deployment, person)
    with Books.of(stack, deployment.project_id) as books:
        async with streaming(deployment, person, "[[long]]") as reader:
            seen = await read_pieces(reader, 20)
        head = await books.until(person, lambda head: not head.holds)

        if policy == "free":
            assert head.balance_micros == before
            assert not await books.charges(person)
        else:
            facts = await facts_of_only_charge(books, person)
            assert head.balance_micros < before
            assert (facts["outcome"], facts["disconnect_policy"]) == ("abandoned", policy)
        if policy == "drain":
            assert (facts["usage_source"], facts["completion_tokens"]) == ("reported", str(LONG_CHARS // 4))
        if policy == "estimate":
            delivered_chars = 20 * (seen.count(CONTENT) - 1)
            assert facts["usage_source"] == "estimated"
            assert delivered_chars // 4 <= int(facts["completion_tokens"]) < LONG_CHARS // 4
        books.verify(person)


async def test_a_client_that_vanishes_before_a_whole_answer_is_charged_as_the_policy_says(
    stack: Stack, with_policy: tuple[str, Deployment]
) -> None:
    """Drain: the answer that nobody read. Estimate: the prompt, and the provider is hung up on. Free: nothing."""
    policy, deployment = with_policy
    person = add_member(stack, deployment)
    before = balance_micros(deployment, person)
    with Books.of(stack, deployment.project_id) as books:
        async with asking(deployment.url, person, "[[slow]]", stream=False):
            await books.until(person, lambda head: bool(head.holds))
            await asyncio.sleep(ASKED_WITHIN_S)
        head = await books.until(person, lambda head: not head.holds)

        if policy == "free":
            assert head.balance_micros == before
            assert not await books.charges(person)
        else:
            facts = await facts_of_only_charge(books, person)
            assert head.balance_micros < before
            assert (facts["outcome"], facts["disconnect_policy"]) == ("abandoned", policy)
            assert facts["usage_source"] == {"drain": "reported", "estimate": "estimated"}[policy]
            assert (facts["completion_tokens"] == "0") is (policy == "estimate")
        books.verify(person)


async def test_a_function_alone_sees_a_client_vanish_before_a_whole_answer(
    stack: Stack, deployment: Deployment, member: Person, books: Books
) -> None:
    """Under functions-framework, as it is deployed. The stand-in's policy is `estimate`: only its reading is paid."""
    with start_alone("chat_completions", deployment.environment) as alone:
        async with asking(alone.url, member, "[[slow]]", stream=False):
            await books.until(member, lambda head: bool(head.holds))
            await asyncio.sleep(ASKED_WITHIN_S)
        await books.until(member, lambda head: not head.holds)

        facts = await facts_of_only_charge(books, member)
        assert (facts["outcome"], facts["completion_tokens"]) == ("abandoned", "0")
        # The line comes after the charge that was waited for.
        async with asyncio.timeout(READ_TIMEOUT_S):
            while '"status":499' not in alone.log:
                await asyncio.sleep(POLL_S)


async def test_a_client_that_never_reads_has_paid_for_an_answer_that_was_sent(
    stack: Stack, with_policy: tuple[str, Deployment]
) -> None:
    """It lies in the client's own buffers, so leaving then buys nothing, whatever the policy."""
    _, deployment = with_policy
    person = add_member(stack, deployment)
    with Books.of(stack, deployment.project_id) as books:
        async with streaming(deployment, person, "hello"), asyncio.timeout(READ_TIMEOUT_S):
            await books.until(person, lambda head: head.spent_micros > 0)
        head = await books.until(person, lambda head: not head.holds)

        facts = await facts_of_only_charge(books, person)
        assert facts["usage_source"] == "reported"
        assert head.spent_micros > 0


async def test_a_client_that_vanishes_before_the_first_word_pays_for_the_prompt(
    stack: Stack, deployment: Deployment, member: Person, books: Books
) -> None:
    """The stand-in's policy is `estimate`: nothing was delivered, but it has read the question."""

    async with streaming(deployment, member, "[[slow]]"):
        await books.until(member, lambda head: bool(head.holds))
    await books.until(member, lambda head: not head.holds)

    facts = await facts_of_only_charge(books, member)
    assert (facts["outcome"], facts["completion_tokens"]) == ("abandoned", "0")


async def test_many_that_vanish_at_every_moment_leave_no_hold(
    stack: Stack, deployment: Deployment, member: Person, books: Books
) -> None:
    """Thirty streams cut after as many pieces; each is charged at most once, and the chain is whole."""

    async def vanish_after(pieces: int) -> None:
        async with streaming(deployment, member, "[[long]]") as reader:
            await read_pieces(reader, pieces)

    await asyncio.gather(*(vanish_after(pieces) for pieces in range(30)))
    await books.until(member, lambda head: not head.holds)

    charges = await books.charges(member)
    assert len({entry.hold_id for entry in charges}) == len(charges) <= 30
    for entry in charges:
        assert 0 < -entry.delta_micros < int(dict(entry.facts)["held_micros"])
    books.verify(member)


async def test_a_gateway_that_is_killed_charges_nothing_and_its_hold_expires(
    stack: Stack, deployment: Deployment, member: Person, books: Books
) -> None:
    """The balance stays whole; only what the hold set aside waits, and not beyond the hold's expiry."""
    before = balance_micros(deployment, member)
    with Deployment(stack, deployment.project_id, beside=deployment) as doomed:
        async with streaming(doomed, member, "[[long]]") as reader:
            await read_pieces(reader, 20)
            kill(doomed)
            rest = await reader.read()
    assert b"[DONE]" not in rest

    head = await books.head(member)
    (hold,) = head.holds.values()
    assert head.balance_micros == before
    assert 0 < hold.expires_at_ms - hold.placed_at_ms <= HOLD_LIFETIME_MS
    assert not await books.charges(member)
    # Until then the survivor keeps the held part apart, and sells the rest.
    with pytest.raises(CreditTooLow):
        await books.app().ledger.debit(account_of(member), before, key="all", facts={})
    asked = {"model": "google/gemma-2-2b-it", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    answered = await asyncio.to_thread(call, deployment, "POST", "/v1/chat/completions", member.token, json=asked)
    assert answered.status_code == 200
    # Afterwards all of it can be spent, the held part too.
    left = (await books.head(member)).balance_micros
    later = books.app(clock=lambda: hold.expires_at_ms)
    await later.ledger.debit(account_of(member), left, key="all", facts={})
    head = await books.head(member)
    assert (head.balance_micros, dict(head.holds)) == (0, {})
    books.verify(member)


def kill(deployment: Deployment) -> None:
    """SIGKILL to the gateway process, as a machine that fails would."""
    service = deployment._service
    assert service is not None
    assert service.child is not None
    service.child.popen.kill()
    service.child.popen.wait()
