"""The saver against LangGraph's own conformance suite, and what that suite does not ask."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.cloud import firestore
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.test_utils import generate_checkpoint, generate_config, generate_metadata

from shared.agents.saver import FirestoreSaver, WouldBlock
from tests.agents.plain import PlainCommits


@pytest.fixture
def saver(client: firestore.AsyncClient) -> FirestoreSaver:
    return FirestoreSaver(client, PlainCommits(client), threads="threads")


async def _put(saver: FirestoreSaver, thread: str, **values: Any) -> Any:
    checkpoint = generate_checkpoint(channel_values=values, channel_versions=dict.fromkeys(values, 1))
    return await saver.aput(generate_config(thread), checkpoint, generate_metadata(), dict.fromkeys(values, 1))


async def test_it_passes_the_conformance_suite(client: firestore.AsyncClient) -> None:
    """All of the base contract, in an order and a form that others wrote."""

    @checkpointer_test(name="FirestoreSaver")
    async def factory() -> AsyncIterator[BaseCheckpointSaver[int]]:
        yield FirestoreSaver(client, PlainCommits(client), threads="threads")

    report = await validate(factory)

    failures = {name: result.failures for name, result in report.results.items() if result.failures}
    assert not failures
    assert report.passed_all_base()
    assert sum(result.tests_passed for result in report.results.values()) >= 30


async def test_deleting_a_thread_leaves_one_whose_name_begins_alike(saver: FirestoreSaver) -> None:
    for thread in ("a", "a_b", "a/b", "a-b"):
        config = await _put(saver, thread, state=thread)
        await saver.aput_writes(config, [("ch", thread)], "task")

    await saver.adelete_thread("a")

    assert await saver.aget_tuple(generate_config("a")) is None
    for thread in ("a_b", "a/b", "a-b"):
        kept = await saver.aget_tuple(generate_config(thread))
        assert kept is not None
        assert kept.checkpoint["channel_values"] == {"state": thread}
        assert kept.pending_writes == [("task", "ch", thread)]


async def test_twelve_pending_writes_come_back_in_order(saver: FirestoreSaver) -> None:
    """By path, task and position, each as what it is and not as text."""
    config = await _put(saver, "ordered")
    await saver.aput_writes(config, [("ch", number) for number in range(12)], "t2", "path-b")
    await saver.aput_writes(config, [("ch", 100)], "t9", "path-a")
    await saver.aput_writes(config, [("ch", 200)], "t1", "path-b")

    kept = await saver.aget_tuple(config)

    assert kept is not None
    assert kept.pending_writes is not None
    assert [value for _, _, value in kept.pending_writes] == [100, 200, *range(12)]


@pytest.mark.parametrize("size_bytes", [850_000, 2_500_000, 14_000_000])
async def test_a_state_larger_than_a_document_is_kept(saver: FirestoreSaver, size_bytes: int) -> None:
    """In the checkpoint and in what a task wrote, also where it takes several commits."""
    value = "x" * size_bytes
    config = await _put(saver, "large", state=value)
    await saver.aput_writes(config, [("ch", value), ("small", 1)], "task")

    kept = await saver.aget_tuple(config)

    assert kept is not None
    assert kept.checkpoint["channel_values"] == {"state": value}
    assert kept.pending_writes == [("task", "ch", value), ("task", "small", 1)]


async def test_all_threads_are_listed_without_a_config(saver: FirestoreSaver) -> None:
    for thread in ("one", "two", "."):
        await _put(saver, thread, state=thread)

    threads = [one.config["configurable"]["thread_id"] async for one in saver.alist(None)]

    assert threads == [".", "two", "one"]


async def test_a_value_that_does_not_change_is_written_once(client: firestore.AsyncClient) -> None:
    """Also by a process that has only read the thread."""
    large = "x" * 100_000
    commits = PlainCommits(client)
    config = await _put(FirestoreSaver(client, commits, threads="threads"), "t", large=large, step=1)
    another = FirestoreSaver(client, commits, threads="threads")
    await another.aget_tuple(generate_config("t"))
    written = commits.bytes

    later = generate_checkpoint(channel_values={"large": large, "step": 2}, channel_versions={"large": 1, "step": 2})
    config = await another.aput(config, later, generate_metadata(), {"step": 2})

    assert commits.bytes - written < 3_000
    kept = await another.aget_tuple(config)
    assert kept is not None
    assert kept.checkpoint["channel_values"] == {"large": large, "step": 2}


async def test_what_would_block_the_loop_says_so(saver: FirestoreSaver) -> None:
    for call in (
        lambda: saver.get_tuple(generate_config("t")),
        lambda: saver.list(None),
        lambda: saver.put(generate_config("t"), generate_checkpoint(), generate_metadata(), {}),
        lambda: saver.put_writes(generate_config("t"), [], "task"),
        lambda: saver.delete_thread("t"),
    ):
        with pytest.raises(WouldBlock, match="asynchronous"):
            call()
