"""People and services that call a deployment over real HTTP."""

from typing import Any

import requests

from local.deployment import Deployment
from local.people import People, Person
from local.stack import Stack

TIMEOUT_S = 60.0
"""Far more than any call needs; a machine that is busy must not fail a test."""


def call(deployment: Deployment, method: str, path: str, token: str | None = None, **rest: Any) -> requests.Response:
    """One request with a bearer token. `rest` is what `requests` takes: `json`, `data`, `headers`, `params`."""
    headers = {**({"authorization": f"Bearer {token}"} if token else {}), **rest.pop("headers", {})}
    return requests.request(method, deployment.url + path, headers=headers, timeout=TIMEOUT_S, **rest)


def answer(response: requests.Response) -> dict[str, Any]:
    """What a call that must succeed says."""
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def refusal(response: requests.Response, status: int) -> str:
    """The code of a call that must be refused with `status`, after a look at its form."""
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert response.headers["x-request-id"].startswith("req_")
    return str(error["code"])


def add_person(stack: Stack, deployment: Deployment, *, email: str | None = None, verified: bool = True) -> Person:
    """Somebody new who is signed in and has not started an account."""
    return People(stack.auth_address).add(deployment.project_id, email=email, verified=verified)


def start_account(deployment: Deployment, person: Person) -> dict[str, Any]:
    """Start the person's account; what the function answers."""
    return answer(call(deployment, "POST", "/v1/account", person.token))


def add_member(stack: Stack, deployment: Deployment) -> Person:
    """Somebody new with a started account and the first stage of the welcome bonus."""
    person = add_person(stack, deployment)
    start_account(deployment, person)
    return person


def balance_micros(deployment: Deployment, person: Person) -> int:
    """What the person's wallet holds."""
    return int(answer(call(deployment, "GET", "/v1/credits", person.token))["data"]["balance_micros"])
