"""Decisions about conversations, for whatever may come."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.ids import AccountId, HoldId, UserId
from shared.conversations import rules
from shared.conversations.errors import ConversationAbsent, ConversationBusy, TextInvalid
from shared.conversations.models import (
    Change,
    Conversation,
    ConversationId,
    Message,
    MessageState,
    Role,
    Running,
    Turn,
    TurnId,
    TurnState,
)
from shared.metering.models import OwedCharge

NOW = 1_800_000_000_000
TURN = TurnId("t1")
KEYS = st.text(max_size=20)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
IDLE = Conversation(
    conversation_id=ConversationId("conv_1"),
    owner=UserId("ada"),
    account_id=AccountId("user:ada"),
    request_hash="",
    title="",
    model="maker/model",
    created_at_ms=0,
    updated_at_ms=0,
)
QUESTION = Message(seq=1, role=Role.USER, text="Hi", state=MessageState.UNANSWERED, created_at_ms=NOW)
ANSWER = Message(seq=0, role=Role.ASSISTANT, text="Hello.", created_at_ms=NOW, charged_micros=30, prompt_tokens=10)
OWED = OwedCharge(AccountId("user:ada"), HoldId("req_1"), 30, {})
ASKED = Turn(turn_id=TURN, about_seq=1)


def begun() -> Conversation:
    return rules.begun(IDLE, ASKED, QUESTION, NOW).conversation


def written(turn: Turn = ASKED, answer: Message = ANSWER) -> Change:
    return rules.written(begun(), turn, answer, OWED, NOW)


def done(turn: Turn = ASKED, answer: Message = ANSWER) -> Change:
    change = written(turn, answer)
    assert change.turn is not None
    settled = rules.settled(change.conversation, change.turn, NOW)
    assert settled is not None
    return settled


@given(KEYS, KEYS, KEYS)
def test_ids_tell_keys_and_accounts_apart(account: str, key: str, other: str) -> None:
    first = rules.conversation_id_of(AccountId(account), key)
    assert re.fullmatch("conv_[0-9a-f]{32}", first)
    assert (first == rules.conversation_id_of(AccountId(account), other)) == (key == other)
    assert (rules.turn_id_of(key) == rules.turn_id_of(other)) == (key == other)


@given(TEXTS)
def test_a_title_is_one_short_line_of_the_first_words(text: str) -> None:
    title = rules.title_of(text)

    assert len(title) <= rules.TITLE_CHARS_MAX
    assert title == " ".join(title.split())
    assert " ".join(text.split()).startswith(title.removesuffix("…"))


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Cats and Dogs"', "Cats and Dogs"),
        ("\n\n# **Cats**\nWhat else?", "Cats"),
        ("„Katzen“", "Katzen"),
        ("", ""),
        ("***", ""),
    ],
)
def test_a_title_that_a_model_made_is_its_first_line_without_marks(said: str, title: str) -> None:
    assert rules.title_said(said) == title


@given(TEXTS)
def test_a_kept_answer_is_no_longer_than_a_document_may_be_and_holds_no_control_character(text: str) -> None:
    kept = rules.clean(text)

    assert rules.check_text(kept, "text") == kept
    assert len(rules.clean(text * 3_000).encode()) <= rules.ANSWER_BYTES_MAX


def test_the_longest_answer_fits_the_one_document_it_is_kept_in() -> None:
    """As JSON, in which a quotation mark takes two bytes, within a turn."""
    longest = replace(ANSWER, text=rules.clean('"' * 10**6))
    change = written(answer=longest)
    assert len(msgspec.json.encode(change.turn)) < 1_000_000


@pytest.mark.parametrize("text", ["\x00", "a\x1bb", "\x7f", "\ud800"])
def test_control_characters_and_halves_of_characters_are_no_text(text: str) -> None:
    with pytest.raises(TextInvalid):
        rules.check_text(text, "text")
    assert rules.check_text(rules.clean(text), "text")


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("Remember that I am old.", "I am old."),
        ("please REMEMBER: tea, no milk\nand more", "tea, no milk"),
        ("Do you remember that day?", None),
        ("I remember that", None),
        ("Remember that   ", None),
        ("remembers that", None),
        ("Remember that " + "x" * 900, "x" * rules.MEMORY_CHARS_MAX),
    ],
)
def test_only_what_begins_as_a_request_is_remembered(said: str, memory: str | None) -> None:
    assert rules.asked_to_remember(said) == memory


def test_a_memory_is_kept_with_its_message_and_only_where_that_was_agreed() -> None:
    asks = replace(QUESTION, text="Remember that I am old.")

    agreed = rules.begun(replace(IDLE, remembers=True), ASKED, asks, NOW)

    assert agreed.memory is not None
    assert (agreed.memory.text, agreed.memory.memory_id) == ("I am old.", TURN)
    assert rules.begun(IDLE, ASKED, asks, NOW).memory is None
    assert rules.begun(replace(IDLE, remembers=True), ASKED, None, NOW).memory is None


def test_one_answers_at_a_time_and_a_dead_one_makes_way() -> None:
    conversation = begun()

    with pytest.raises(ConversationBusy):
        rules.begun(conversation, replace(ASKED, turn_id=TurnId("t2")), None, NOW + rules.LEASE_MS - 1)
    after = rules.begun(conversation, replace(ASKED, turn_id=TurnId("t2")), None, NOW + rules.LEASE_MS).conversation

    assert after.fence == conversation.fence + 1
    assert rules.renewed(after, conversation.fence, NOW) is None
    with pytest.raises(ConversationBusy):
        rules.check_fence(after, conversation.fence)
    assert rules.failed(after, ASKED, conversation.fence) is None


def test_nothing_begins_over_a_written_answer_that_is_not_settled() -> None:
    """The lease may end between a look and the next begin; overwritten, it would never be charged or shown."""
    dead = written().conversation

    with pytest.raises(ConversationBusy):
        rules.begun(dead, replace(ASKED, turn_id=TurnId("t2")), None, NOW + 10 * rules.LEASE_MS)


def test_nothing_is_written_to_what_is_being_deleted() -> None:
    with pytest.raises(ConversationAbsent):
        rules.check_fence(replace(begun(), is_deleting=True), 1)


def test_an_answer_is_counted_once_however_often_it_is_settled() -> None:
    first = done()

    assert first.turn is not None
    assert first.conversation.charged_micros == 30
    assert (first.conversation.turns, first.conversation.running, first.conversation.pending) == (1, None, None)
    assert first.states == {1: MessageState.SAID}
    assert rules.settled(first.conversation, first.turn, NOW) is None
    assert first.turn.answer is not None
    assert first.turn.answer.text == ""


def test_an_answer_made_anew_replaces_the_former_ones_in_the_same_write() -> None:
    change = done(replace(ASKED, replaces=(2, 3)))

    assert change.states == {1: MessageState.SAID, 2: MessageState.REPLACED, 3: MessageState.REPLACED}


def test_a_summary_goes_on_and_a_title_ends_its_turn() -> None:
    summary = done(replace(ASKED, role=Role.SUMMARY)).conversation
    title = done(replace(ASKED, role=Role.TITLE)).conversation

    assert summary.running is not None
    assert summary.summary is not None
    assert summary.summary.text == "Hello."
    assert (title.running, title.title, title.turns, title.charged_micros) == (None, "Hello.", 0, 30)
    silent = done(replace(ASKED, role=Role.TITLE), replace(ANSWER, text=" ")).conversation
    assert silent.title == "Hi"


def test_a_turn_given_up_leaves_what_is_written_to_be_settled() -> None:
    change = written()
    assert change.turn is not None

    failed = rules.failed(change.conversation, change.turn, 1)

    assert failed is not None
    assert (failed.turn, failed.conversation.pending, failed.conversation.running) == (None, TURN, None)
    unwritten = rules.failed(begun(), ASKED, 1)
    assert unwritten is not None
    assert unwritten.turn is not None
    assert unwritten.turn.state is TurnState.FAILED


def test_a_stop_reaches_only_who_is_alive() -> None:
    change = rules.stopping(begun(), NOW)

    assert change is not None
    assert change.conversation.running == Running(TURN, 1, NOW + rules.LEASE_MS, stop=True)
    assert rules.stopping(begun(), NOW + rules.LEASE_MS) is None
    assert rules.stopping(IDLE, NOW) is None
