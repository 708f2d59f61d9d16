"""What of a history is sent, for whatever was said and however much room there is."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.conversations import history
from shared.conversations.history import Room
from shared.conversations.models import Message, MessageState, Picture, Role, Summary, TextFile
from tests.conversations.test_rules import IDLE

MIB = 1024 * 1024
IMAGE_TOKENS = 50


@st.composite
def messages(draw: st.DrawFn) -> list[Message]:
    """What may stand in a conversation, in its order."""
    kinds = st.tuples(
        st.sampled_from(Role), st.sampled_from(MessageState), st.integers(0, 400), st.integers(0, 3), st.booleans()
    )
    return [
        Message(
            seq=seq,
            role=role,
            state=state,
            text="é" * chars,
            created_at_ms=0,
            pictures=tuple(Picture(f"{seq}-{n}", "image/png", 2 * MIB) for n in range(pictures)),
            files=(TextFile("a", "x" * chars),) if has_file else (),
        )
        for seq, (role, state, chars, pictures, has_file) in enumerate(draw(st.lists(kinds, max_size=40)), 1)
    ]


ROOMS = st.builds(Room, sent_tokens_max=st.integers(0, 4_000), summary_tokens_max=st.integers(700, 4_000))


@given(messages(), ROOMS)
def test_what_is_sent_fits_its_room_and_is_the_newest(said: list[Message], room: Room) -> None:
    plan = history.plan_of(said, room, image_tokens=IMAGE_TOKENS)

    assert sum(history.tokens_of(one, IMAGE_TOKENS) for one in plan.sent) <= room.sent_tokens_max
    told = [one for batch in plan.batches for one in batch] + list(plan.sent)
    quoted = [one for one in said if one.state is MessageState.SAID and one.role in (Role.USER, Role.ASSISTANT)]
    assert told == quoted[len(quoted) - len(told) :]
    if len(plan.batches) < history.SUMMARIES_MAX:
        assert told == quoted


@given(messages(), ROOMS)
def test_no_summary_is_asked_with_more_than_its_room(said: list[Message], room: Room) -> None:
    plan = history.plan_of(said, room, image_tokens=IMAGE_TOKENS)

    assert len(plan.batches) <= history.SUMMARIES_MAX
    for batch in plan.batches:
        [_, asked] = history.summary_messages(history.LONGEST_SUMMARY, batch, tokens_max=room.summary_tokens_max)
        assert len(asked["content"].encode()) <= room.summary_tokens_max * history.BYTES_PER_TOKEN


def test_as_many_as_are_ever_read_are_never_sent_whole() -> None:
    """There may be more before them: without a summary these would be forgotten unread."""
    said = [Message(seq=seq, role=Role.USER, text="a", created_at_ms=0) for seq in range(1, history.READ_MAX + 1)]
    room = Room(sent_tokens_max=10**6, summary_tokens_max=10**6)

    plan = history.plan_of(said, room, image_tokens=0)

    assert len(plan.sent) == history.READ_MAX // 2
    assert [one for batch in plan.batches for one in batch] + list(plan.sent) == said
    assert history.plan_of(said[1:], room, image_tokens=0).batches == ()


@given(messages(), st.integers(1_000, 200_000), st.integers(0, 60_000))
def test_history_question_and_answer_fit_the_model_together(
    said: list[Message], context_tokens: int, asked_chars: int
) -> None:
    asked = Message(seq=99, role=Role.USER, text="x" * asked_chars, created_at_ms=0)

    room = history.room_of(IDLE, ["tea"], asked, context_tokens=context_tokens, image_tokens=IMAGE_TOKENS)

    assert room.sent_tokens_max <= IDLE.history_tokens_max - history.SUMMARY_TOKENS_MAX
    if room.sent_tokens_max:
        rest = history.tokens_of(asked, 0) + min(IDLE.answer_tokens_max, context_tokens // 4)
        assert room.sent_tokens_max + rest + history.SUMMARY_TOKENS_MAX <= context_tokens


@given(messages())
def test_the_newest_pictures_are_shown_within_their_bytes(said: list[Message]) -> None:
    shown = history.pictures_shown(said)

    assert sum(picture.bytes for picture in shown) <= history.PICTURES_BYTES_MAX
    every = [picture for one in reversed(said) for picture in one.pictures]
    assert shown == every[: len(shown)]
    assert len(shown) == min(len(every), history.PICTURES_BYTES_MAX // (2 * MIB))


@given(st.lists(st.text(max_size=50).map(lambda text: 20 * text), max_size=10))
def test_memories_take_no_more_than_their_room_and_the_newest_come_first(memories: list[str]) -> None:
    text = history.memory_text(memories)

    told = text.encode(errors="surrogatepass")
    assert len(told) <= history.MEMORIES_BYTES_MAX + len("What the user asked you to remember:\n")
    assert bool(text) == bool(memories and len(memories[0].encode(errors="surrogatepass")) <= 2_997)


def test_a_summary_and_memories_are_told_as_such_before_all_messages() -> None:
    told = replace(IDLE, system="Be kind.", summary=Summary("They met.", 4))
    said = Message(seq=5, role=Role.USER, text="Hi", created_at_ms=0)

    system, asked = history.messages_for(told, [said], ["I am old."], {})

    assert system["role"] == "system"
    places = [system["content"].index(text) for text in ("Be kind.", "- I am old.", "They met.")]
    assert places == sorted(places)
    assert asked == {"role": "user", "content": "Hi"}
    assert history.messages_for(IDLE, [said], [], {}) == [asked]


def test_a_picture_that_is_not_shown_is_said_to_be() -> None:
    picture = Picture("p", "image/png", 1)
    said = Message(seq=1, role=Role.USER, text="Look", created_at_ms=0, pictures=(picture,))

    [[_, unseen], [_, seen]] = (
        history.messages_for(IDLE, [said], [], urls)[0]["content"] for urls in ({}, {"p": "data:image/png;base64,"})
    )

    assert unseen == {"type": "text", "text": history.UNSEEN}
    assert seen["type"] == "image_url"


def test_files_are_told_with_their_names_behind_the_text() -> None:
    said = Message(seq=1, role=Role.USER, text="Read", created_at_ms=0, files=(TextFile("a.txt", "words"),))

    assert history.words_of(said) == "Read\n\n[File a.txt]\nwords\n[End of a.txt]"
