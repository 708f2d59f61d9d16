"""The stand-in for Eventarc: what it makes of the emulator's events, again until a 2xx, and to whom."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.events import ATTEMPTS_MAX, EventDelivery, Target
from local.process import HOST
from local.stack import Stack
from shared.web.protobuf import created_document

EVENT = "google.cloud.firestore.document.v1.created things/{thing}"
DEADLINE_S = 20.0


@dataclass
class Receiver:
    """A function that keeps what it is sent, and answers with the given statuses in turn, then with 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def wait_for(self, count: int) -> None:
        gives_up_at = time.monotonic() + DEADLINE_S
        while len(self.received) < count and time.monotonic() < gives_up_at:
            time.sleep(0.01)
        assert len(self.received) >= count


@contextmanager
def receiving(*statuses: int) -> Iterator[Receiver]:
    receiver = Receiver(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.url = f"http://{HOST}:{server.server_port}/"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write(stack: Stack, project_id: str, path: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIRESTORE_EMULATOR_HOST", stack.firestore_address)
        client = firestore.Client(project=project_id, credentials=AnonymousCredentials())
        client.document(path).set({"seq": 1})
        client.close()


def subscribe(stack: Stack, project_id: str, receiver: Receiver) -> Target:
    target = Target(receiver.url, lambda: "token")
    stack.events.subscribe(stack.firestore_address, project_id, "thing_created", EVENT, target)
    return target


def test_an_event_arrives_in_the_form_of_production(stack: Stack, project_id: str) -> None:
    """Binary CloudEvents: the attributes in headers, the protocol buffer as it is, and a token."""
    with receiving() as receiver:
        subscribe(stack, project_id, receiver)
        write(stack, project_id, "things/one")
        receiver.wait_for(1)

    [(headers, body)] = receiver.received
    assert headers["content-type"] == "application/protobuf"
    assert headers["authorization"] == "Bearer token"
    assert headers["ce-type"] == "google.cloud.firestore.document.v1.created"
    assert headers["ce-source"] == f"//firestore.googleapis.com/projects/{project_id}/databases/(default)"
    assert headers["ce-subject"] == "documents/things/one"
    assert headers["ce-id"]
    document = created_document(body)
    assert document.name == f"projects/{project_id}/databases/(default)/documents/things/one"
    assert document.fields == {"seq": 1}


def test_only_creations_at_the_path_in_the_project_arrive(stack: Stack, project_id: str) -> None:
    with receiving() as receiver:
        subscribe(stack, project_id, receiver)
        write(stack, f"{project_id}-other", "things/one")
        write(stack, project_id, "others/one")
        write(stack, project_id, "things/one/parts/one")
        for _ in range(3):
            write(stack, project_id, "things/one")
        write(stack, project_id, "things/last")
        receiver.wait_for(2)

    # Several are delivered at once, so they come in any order, as Eventarc's do.
    assert {headers["ce-document"] for headers, _ in receiver.received} == {"things/one", "things/last"}
    assert len(receiver.received) == 2


def test_an_event_is_sent_again_until_it_is_acknowledged(stack: Stack, project_id: str) -> None:
    """The same event, by its id."""
    with receiving(500, 403, 503) as receiver:
        subscribe(stack, project_id, receiver)
        write(stack, project_id, "things/one")
        receiver.wait_for(4)

    assert len({headers["ce-id"] for headers, _ in receiver.received}) == 1
    assert len(receiver.received) == 4


def test_whoever_subscribed_last_is_sent_the_events_until_it_leaves(stack: Stack, project_id: str) -> None:
    """As when a deployment is replaced by another over the same project for a while."""
    with receiving() as first, receiving() as second:
        subscribe(stack, project_id, first)
        target = subscribe(stack, project_id, second)
        write(stack, project_id, "things/one")
        second.wait_for(1)
        stack.events.unsubscribe(project_id, "thing_created", target)
        write(stack, project_id, "things/two")
        first.wait_for(1)

    assert [headers["ce-document"] for headers, _ in first.received] == ["things/two"]
    assert [headers["ce-document"] for headers, _ in second.received] == ["things/one"]


def test_an_event_that_nobody_takes_is_dropped_and_the_emulator_answered() -> None:
    with EventDelivery() as events:
        url = f"http://{events.address}/functions/projects/demo-nobody/triggers/thing_created"
        response = requests.post(url, data=base64.b64encode(b"event"), timeout=DEADLINE_S)
        assert response.status_code == 204


def test_a_delivery_that_waits_to_try_again_ends_with_its_stack() -> None:
    with receiving(*[500] * 100) as receiver, EventDelivery() as events:
        events._targets["/x"] = [Target(receiver.url, lambda: "token")]
        requests.post(f"http://{events.address}/x", data=base64.b64encode(b"event"), timeout=DEADLINE_S)
        receiver.wait_for(1)

    # Leaving `events` came first, and waited for whoever was still delivering.
    assert len(receiver.received) < ATTEMPTS_MAX
