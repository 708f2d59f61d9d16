"""conversation_* and memory_*: turns that are each charged once, kept where their owner reads them, and stopped."""

import base64
import hashlib
import json
import threading
import time
from typing import Any

import pytest
import requests

from local.deployment import Deployment
from local.live import LiveDocument
from local.people import Person
from local.stack import Stack
from tests.clients import add_member, answer, balance_micros, call, refusal

MODEL = "google/gemma-2-2b-it"
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 100).decode()


def begin(deployment: Deployment, token: str, **fields: Any) -> str:
    """A conversation; its id."""
    asked = {"model": MODEL, "idempotency_key": "begin", **fields}
    return str(answer(call(deployment, "POST", "/v1/conversations", token, json=asked))["conversation_id"])


def say(deployment: Deployment, token: str, talk: str, text: str, **fields: Any) -> requests.Response:
    """Reply, whole unless told otherwise."""
    body = {"text": text, "stream": False, "idempotency_key": hashlib.sha256(text.encode()).hexdigest(), **fields}
    return call(deployment, "POST", f"/v1/conversations/{talk}/replies", token, json=body)


def messages(deployment: Deployment, token: str, talk: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer(call(deployment, "GET", f"/v1/conversations/{talk}", token))["messages"]
    return found


def events(response: requests.Response) -> list[dict[str, Any]]:
    """The chunks of a stream that ended as streams do."""
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_turn_is_charged_once_and_its_receipt_stands_on_the_answer(deployment: Deployment, member: Person) -> None:
    talk, before = begin(deployment, member.token), balance_micros(deployment, member)

    told = answer(say(deployment, member.token, talk, "Hello there, how are you?"))

    asked, answered = messages(deployment, member.token, talk)
    assert (asked["role"], asked["state"], answered["role"]) == ("user", "said", "assistant")
    assert told["choices"][0]["message"]["content"] == answered["text"] != ""
    charged = told["usage"]["cost_details"]["charged_micros"]
    assert before - balance_micros(deployment, member) == charged == answered["charged_micros"] > 0
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{answered['receipt_id']}", member.token))
    assert receipt["entry"]["delta_micros"] == -charged
    view = answer(call(deployment, "GET", f"/v1/conversations/{talk}", member.token))["conversation"]
    assert (view["title"], view["turns"], view["charged_micros"]) == ("Hello there, how are you?", 1, charged)


def test_a_repeat_tells_the_kept_answer_and_is_free(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    first = say(deployment, member.token, talk, "Hi", stream=True)
    streamed, spent = events(first), balance_micros(deployment, member)

    again = say(deployment, member.token, talk, "Hi", stream=True)

    told = events(again)
    said = ["".join(c["delta"].get("content") or "" for e in one for c in e["choices"]) for one in (streamed, told)]
    assert said[0] == said[1] == messages(deployment, member.token, talk)[1]["text"]
    assert streamed[-1]["usage"]["cost"] == told[-1]["usage"]["cost"] > 0
    assert again.headers["x-credence-repeat"] == "yes"
    assert balance_micros(deployment, member) == spent
    other = say(deployment, member.token, talk, "Something else", idempotency_key=hashlib.sha256(b"Hi").hexdigest())
    assert refusal(other, 409) == "idempotency_key_reused"


def test_two_replies_at_once_are_one(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    codes: list[int] = []

    def reply(number: int) -> None:
        codes.append(say(deployment, member.token, talk, f"[[slow]] {number}").status_code)

    threads = [threading.Thread(target=reply, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200, 409, 409]
    assert len(messages(deployment, member.token, talk)) == 2


def test_regenerate_replaces_the_answer_and_charges_for_another(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    path = f"/v1/conversations/{talk}/regenerate"
    body = {"stream": False, "idempotency_key": "anew"}
    assert refusal(call(deployment, "POST", path, member.token, json=body), 409) == "nothing_to_answer"
    answer(say(deployment, member.token, talk, "Hi"))

    answer(call(deployment, "POST", path, member.token, json=body))
    spent = balance_micros(deployment, member)
    answer(call(deployment, "POST", path, member.token, json=body))

    assert [one["state"] for one in messages(deployment, member.token, talk)] == ["said", "replaced", "said"]
    assert balance_micros(deployment, member) == spent


def test_a_stop_from_elsewhere_keeps_and_charges_what_was_delivered(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token, answer_tokens_max=4_000)
    body = {"text": "[[long]]", "idempotency_key": "long"}
    url = f"{deployment.url}/v1/conversations/{talk}/replies"
    headers = {"authorization": f"Bearer {member.token}"}
    with requests.post(url, json=body, headers=headers, stream=True, timeout=60) as response:
        pieces = response.iter_content(None)
        said = next(pieces)
        stopped = answer(call(deployment, "POST", f"/v1/conversations/{talk}/stop", member.token, json={}))
        assert stopped == {"stopping": True}
        said += b"".join(pieces)

    assert said.endswith(b"data: [DONE]\n\n")
    _, answered = messages(deployment, member.token, talk)
    assert answered["finish_reason"] == "stopped"
    assert answered["text"] != ""
    assert answered["charged_micros"] > 0


def test_who_leaves_in_the_middle_finds_what_was_delivered(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token, answer_tokens_max=4_000)
    body = {"text": "[[long]]", "idempotency_key": "long"}
    url = f"{deployment.url}/v1/conversations/{talk}/replies"
    headers = {"authorization": f"Bearer {member.token}"}
    with requests.post(url, json=body, headers=headers, stream=True, timeout=60) as response:
        next(response.iter_content(None))

    gives_up_at = time.monotonic() + 20
    while len(found := messages(deployment, member.token, talk)) < 2:
        assert time.monotonic() < gives_up_at
        time.sleep(0.1)
    assert (found[1]["finish_reason"], found[0]["state"]) == ("stopped", "said")
    assert found[1]["charged_micros"] > 0


def test_a_failed_turn_leaves_its_message_to_be_answered_again(deployment: Deployment, member: Person) -> None:
    talk, before = begin(deployment, member.token), balance_micros(deployment, member)

    response = say(deployment, member.token, talk, "[[error-500]] please")

    assert response.status_code >= 500
    [asked] = messages(deployment, member.token, talk)
    assert asked["state"] == "unanswered"
    assert balance_micros(deployment, member) == before


def test_an_app_that_listens_is_shown_the_answer_once_it_is_charged(
    stack: Stack, deployment: Deployment, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the security rules, as the owner: the message with its receipt, and the conversation with its sum."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
    talk = begin(deployment, member.token)
    with (
        LiveDocument(deployment.project_id, f"conversations/{talk}/messages/00000002", member.token) as shown,
        LiveDocument(deployment.project_id, f"conversations/{talk}", member.token) as told,
    ):
        answer(say(deployment, member.token, talk, "Hi"))
        message = shown.wait_until(lambda seen: bool(seen), "it was never shown")
        conversation = told.wait_until(lambda seen: seen.get("turns") == 1, "its turn was never counted")

    assert (message["role"], message["state"]) == ("assistant", "said")
    assert conversation["charged_micros"] == message["charged_micros"] > 0
    assert answer(call(deployment, "GET", f"/v1/receipts/{message['receipt_id']}", member.token))


def test_a_reply_and_a_regenerate_at_once_are_one_turn(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    answer(say(deployment, member.token, talk, "[[slow]] first"))
    path, statuses = f"/v1/conversations/{talk}", []

    def post(end: str, body: dict[str, Any]) -> None:
        statuses.append(call(deployment, "POST", path + end, member.token, json=body).status_code)

    said = {"text": "[[slow]] second", "stream": False, "idempotency_key": "second"}
    anew = {"stream": False, "idempotency_key": "anew"}
    threads = [threading.Thread(target=post, args=args) for args in (("/replies", said), ("/regenerate", anew))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200, 409]
    found = messages(deployment, member.token, talk)
    assert sum(one["role"] == "assistant" for one in found) == 2
    assert all(one["receipt_id"] for one in found if one["role"] == "assistant")


def test_a_cards_key_talks_with_the_models_of_its_list_only(deployment: Deployment, member: Person) -> None:
    """At the start, at a change, and at the title that a cheap model makes."""
    card = {"name": "a card", "amount_micros": 5_000_000, "models": [MODEL], "idempotency_key": "listed"}
    key = answer(call(deployment, "POST", "/v1/cards", member.token, json=card))["key"]
    other = "meta-llama/Meta-Llama-3.1-8B-Instruct"
    begun = call(deployment, "POST", "/v1/conversations", key, json={"model": other, "idempotency_key": "begin"})
    assert refusal(begun, 403) == "model_not_allowed"
    talk = begin(deployment, key)
    changed = call(deployment, "POST", f"/v1/conversations/{talk}", key, json={"model": other})
    assert refusal(changed, 403) == "model_not_allowed"
    # Its owner may change it, and then the card's key is refused.
    answer(say(deployment, key, talk, "Hi"))
    answer(call(deployment, "POST", f"/v1/conversations/{talk}", member.token, json={"model": other}))
    assert refusal(say(deployment, key, talk, "More"), 403) == "model_not_allowed"

    asked = {"idempotency_key": "title"}
    titled = answer(call(deployment, "POST", f"/v1/conversations/{talk}/title", key, json=asked))

    assert titled["message"]["model"] == MODEL


def test_a_title_that_is_asked_for_is_one_metered_call(deployment: Deployment, member: Person) -> None:
    talk, path = begin(deployment, member.token), "/v1/conversations/{}/title"
    asked = {"idempotency_key": "title"}
    assert refusal(call(deployment, "POST", path.format(talk), member.token, json=asked), 409) == "nothing_to_answer"
    answer(say(deployment, member.token, talk, "Where do cats sleep?"))
    before = balance_micros(deployment, member)

    first, again = (answer(call(deployment, "POST", path.format(talk), member.token, json=asked)) for _ in range(2))

    assert first == again
    assert first["conversation"]["title"] not in ("", "Where do cats sleep?")
    charged = first["message"]["charged_micros"]
    assert before - balance_micros(deployment, member) == charged > 0
    receipt = answer(call(deployment, "GET", f"/v1/receipts/{first['message']['receipt_id']}", member.token))
    assert receipt["entry"]["delta_micros"] == -charged


def test_a_stranger_and_a_card_see_nothing(stack: Stack, deployment: Deployment, member: Person) -> None:
    talk, stranger = begin(deployment, member.token), add_member(stack, deployment)
    card = {"name": "a card", "amount_micros": 1_000_000, "idempotency_key": "card"}
    key = answer(call(deployment, "POST", "/v1/cards", member.token, json=card))["key"]

    for token in (stranger.token, key):
        assert refusal(call(deployment, "GET", f"/v1/conversations/{talk}", token), 404) == "conversation_not_found"
        for end in ("/replies", "/regenerate", "/stop", "/delete", "/quote", "/title", ""):
            body = {
                "/replies": {"text": "Hi", "idempotency_key": "x"},
                "/regenerate": {"idempotency_key": "x"},
                "/title": {"idempotency_key": "x"},
                "/quote": {"text": "Hi"},
            }.get(end, {})
            denied = call(deployment, "POST", f"/v1/conversations/{talk}{end}", token, json=body)
            assert refusal(denied, 404) == "conversation_not_found"
        assert answer(call(deployment, "GET", "/v1/conversations", token))["data"] == []
    own = begin(deployment, key)
    answer(say(deployment, key, own, "Hi"))
    assert answer(call(deployment, "GET", "/v1/credits", key))["data"]["balance_micros"] < 1_000_000
    assert len(answer(call(deployment, "GET", "/v1/conversations", member.token))["data"]) == 2


def test_a_quote_is_no_less_than_the_turn_and_free(deployment: Deployment, member: Person) -> None:
    talk, before = begin(deployment, member.token), balance_micros(deployment, member)

    quote = answer(call(deployment, "POST", f"/v1/conversations/{talk}/quote", member.token, json={"text": "Hi"}))

    assert balance_micros(deployment, member) == before
    assert messages(deployment, member.token, talk) == []
    assert 0 < quote["probably_micros"] <= quote["at_most_micros"]
    charged = answer(say(deployment, member.token, talk, "Hi"))["usage"]["cost_details"]["charged_micros"]
    assert charged <= quote["at_most_micros"]
    for made in ("regenerate", "title"):
        told = answer(call(deployment, "POST", f"/v1/conversations/{talk}/quote", member.token, json={"call": made}))
        assert 0 < told["probably_micros"] <= told["at_most_micros"]
    for wrong in ({}, {"call": "title", "text": "Hi"}, {"call": "replies"}):
        asked = call(deployment, "POST", f"/v1/conversations/{talk}/quote", member.token, json=wrong)
        assert refusal(asked, 400) == "invalid_request"


def test_a_long_history_is_summarised_by_a_call_with_its_own_receipt(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token, history_tokens_max=2_500, answer_tokens_max=50)
    for number in range(5):
        answer(say(deployment, member.token, talk, f"{number} " + "word " * 500))

    summaries = [one for one in messages(deployment, member.token, talk) if one["role"] == "summary"]

    assert summaries
    receipts = {one["receipt_id"] for one in messages(deployment, member.token, talk) if one["role"] != "user"}
    assert None not in receipts
    assert len(receipts) == 5 + len(summaries)
    view = answer(call(deployment, "GET", f"/v1/conversations/{talk}", member.token))["conversation"]
    spent = sum(one["charged_micros"] for one in messages(deployment, member.token, talk))
    assert view["charged_micros"] == spent


def test_images_go_to_models_that_see_and_files_to_all(deployment: Deployment, member: Person) -> None:
    blind = begin(deployment, member.token)
    image = {"type": "image", "url": PIXEL}
    refused = say(deployment, member.token, blind, "Look", attachments=[image])
    assert refusal(refused, 400) == "model_not_supported"
    assert messages(deployment, member.token, blind) == []
    file = {"type": "file", "name": "notes.txt", "data": base64.b64encode("Grüße".encode()).decode()}
    answer(say(deployment, member.token, blind, "Read", attachments=[file]))
    assert messages(deployment, member.token, blind)[0]["files"] == [{"name": "notes.txt", "text": "Grüße"}]

    seeing = begin(deployment, member.token, model=None, preference="vision", idempotency_key="sees")
    answer(say(deployment, member.token, seeing, "Look", attachments=[image]))
    answer(say(deployment, member.token, seeing, "Again"))
    assert messages(deployment, member.token, seeing)[0]["pictures"][0]["media_type"] == "image/png"


@pytest.mark.parametrize(
    "attachment",
    [
        {"type": "file", "name": "a", "data": base64.b64encode(b"\xff\xfe\x00").decode()},
        {"type": "file", "name": "a", "data": base64.b64encode(b"a\x00b").decode()},
        {"type": "file", "name": "a", "data": "not base64"},
        {"type": "file", "name": "a", "data": base64.b64encode(b"x" * 100_001).decode()},
        {"type": "file", "url": PIXEL},
    ],
)
def test_what_is_no_text_is_refused_as_a_file(deployment: Deployment, member: Person, attachment: object) -> None:
    talk = begin(deployment, member.token)

    response = say(deployment, member.token, talk, "Read", attachments=[attachment])

    assert refusal(response, 400) in ("invalid_attachment", "invalid_request")
    assert messages(deployment, member.token, talk) == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/a.png", "https://metadata.google.internal/", "http://a.b/c.png"])
def test_an_image_inside_is_never_fetched(deployment: Deployment, member: Person, url: str) -> None:
    talk = begin(deployment, member.token, model=None, preference="vision")

    response = say(deployment, member.token, talk, "Look", attachments=[{"type": "image", "url": url}])

    assert refusal(response, 400) == "invalid_attachment"


def test_what_was_asked_to_remember_is_told_shown_and_erased(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token, remembers=True)
    answer(say(deployment, member.token, talk, "Please remember that my cat is called Ada."))
    [memory] = answer(call(deployment, "GET", "/v1/memories", member.token))["data"]
    assert memory["text"] == "my cat is called Ada."

    erase = {"memory_id": memory["memory_id"]}
    answer(call(deployment, "POST", "/v1/memories/erase", member.token, json=erase))

    assert answer(call(deployment, "GET", "/v1/memories", member.token))["data"] == []
    assert refusal(call(deployment, "POST", "/v1/memories/erase", member.token, json={}), 400) == "invalid_request"
    forgetful = begin(deployment, member.token, idempotency_key="other")
    answer(say(deployment, member.token, forgetful, "Remember that I am old."))
    assert answer(call(deployment, "GET", "/v1/memories", member.token))["data"] == []


def test_a_deleted_conversation_is_gone(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    answer(say(deployment, member.token, talk, "Hi"))

    answer(call(deployment, "POST", f"/v1/conversations/{talk}/delete", member.token, json={}))

    assert refusal(call(deployment, "GET", f"/v1/conversations/{talk}", member.token), 404)
    assert refusal(say(deployment, member.token, talk, "Hi"), 404) == "conversation_not_found"


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[2J", "\x7f", "\x0b"])
def test_control_characters_are_refused_before_anything_is_kept(
    deployment: Deployment, member: Person, text: str
) -> None:
    talk = begin(deployment, member.token)

    assert refusal(say(deployment, member.token, talk, text, idempotency_key="x"), 400) == "invalid_request"
    title = call(deployment, "POST", f"/v1/conversations/{talk}", member.token, json={"title": text})
    assert refusal(title, 400) == "invalid_request"
    assert messages(deployment, member.token, talk) == []


@pytest.mark.parametrize("field", ["seq", "role", "owner", "account_id", "receipt_id"])
def test_what_is_ours_to_say_cannot_be_forged(deployment: Deployment, member: Person, field: str) -> None:
    talk = begin(deployment, member.token)

    assert refusal(say(deployment, member.token, talk, "Hi", **{field: 7}), 400) == "invalid_request"


def test_a_conversation_changes_title_and_model(deployment: Deployment, member: Person) -> None:
    talk = begin(deployment, member.token)
    other = "meta-llama/Meta-Llama-3.1-8B-Instruct"

    changed = call(deployment, "POST", f"/v1/conversations/{talk}", member.token, json={"title": "New", "model": other})

    assert (answer(changed)["title"], answer(changed)["model"]) == ("New", other)
    assert answer(say(deployment, member.token, talk, "Hi"))["model"] == other
    absent = call(deployment, "POST", f"/v1/conversations/{talk}", member.token, json={"model": "no/such"})
    assert refusal(absent, 404) == "model_not_found"


def test_beginning_twice_is_beginning_once(deployment: Deployment, member: Person) -> None:
    assert begin(deployment, member.token) == begin(deployment, member.token)
    other = {"model": MODEL, "title": "other", "idempotency_key": "begin"}
    assert refusal(call(deployment, "POST", "/v1/conversations", member.token, json=other), 409)
