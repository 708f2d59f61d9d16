"""Pure decisions about jobs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agents import rules
from shared.agents.commits import Put, portions
from shared.agents.errors import JobsUnavailable, JobTaken
from shared.agents.limits import ARTIFACT_NAME_CHARS_MAX, RETRY_MS_MAX, RETRY_MS_MIN
from shared.ledger.errors import AccountNotOpen


def _call(call_id: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def _asks(*call_ids: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [_call(call_id) for call_id in call_ids]}


def _answers(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "done"}


def test_no_two_accounts_share_a_job() -> None:
    """Wherever a name and a key could be taken apart."""
    assert rules.job_id_of("user:ada", "b:c") != rules.job_id_of("user:ada:b", "c")


@pytest.mark.parametrize(
    ("messages", "left_open"),
    [
        ([], []),
        ([{"role": "user", "content": "Hi"}], []),
        ([_asks("a"), _answers("a")], []),
        ([_asks("a", "b"), _answers("b")], ["a"]),
        ([_asks("a"), _answers("a"), _asks("b")], ["b"]),
        (["text", 3, {"role": "assistant", "content": "no calls", "tool_calls": None}], []),
    ],
)
def test_each_call_of_a_tool_gets_an_answer(messages: list[Any], left_open: list[str]) -> None:
    repairs = rules.repairs_of(messages)

    assert [one["tool_call_id"] for one in repairs] == left_open
    assert rules.repairs_of([*messages, *repairs]) == []


def test_an_id_stands_for_an_account_and_its_key() -> None:
    assert rules.job_id_of("user:a", "k") == rules.job_id_of("user:a", "k")
    assert len({rules.job_id_of(account, key) for account in ("user:a", "user:b") for key in ("k", "l")}) == 4


def test_a_hold_has_another_id_for_each_attempt_and_step() -> None:
    ids = {rules.hold_id_of("job", step, attempt) for step in ("a", "b") for attempt in (0, 1)}

    assert len(ids) == 4


@given(st.integers(min_value=1, max_value=50))
def test_pauses_grow_within_bounds(failures: int) -> None:
    pause_ms, next_ms = rules.retry_pause_ms(failures), rules.retry_pause_ms(failures + 1)

    assert RETRY_MS_MIN <= pause_ms <= next_ms <= RETRY_MS_MAX


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (JobsUnavailable(), True),
        (JobTaken(), True),
        (TimeoutError(), True),
        (AccountNotOpen("closed"), False),
        (ValueError(), False),
        (ConnectionError(), False),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert rules.may_pass(error) is passes


@given(st.lists(st.integers(min_value=0, max_value=40), max_size=30))
def test_portions_lose_nothing_and_fit(sizes: list[int]) -> None:
    puts = [Put(f"d/{number}", {}, size_bytes=size) for number, size in enumerate(sizes)]

    parts = list(portions(puts, bytes_max=50))

    assert [put for part in parts for put in part] == puts
    assert all(len(part) == 1 or sum(put.size_bytes for put in part) <= 50 for part in parts)


def test_an_artifact_is_called_by_signs_that_are_seen() -> None:
    """And by no more of them than a result can hold; what is too long keeps its ending."""
    assert rules.artifact_name("out/table of sums.csv") == "out/table of sums.csv"
    assert rules.artifact_name("a\r\n\u202e\x00\ud800.csv") == "a_____.csv"
    assert rules.artifact_name("") == "unnamed"
    long = rules.artifact_name("d/" * 1_000 + "sums.csv")
    assert (len(long), long[-8:]) == (ARTIFACT_NAME_CHARS_MAX, "sums.csv")
