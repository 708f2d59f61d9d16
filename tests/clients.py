"""People and services that call a deployment over real HTTP."""

import time
from typing import Any

import requests

from local.deployment import Deployment
from local.people import ADMINISTRATOR, People, Person
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


def change_user(stack: Stack, deployment: Deployment, person: Person, **fields: object) -> None:
    """What an administrator does to a user: `emailVerified=True`, `disableUser=True`, ..."""
    url = f"http://{stack.auth_address}/identitytoolkit.googleapis.com/v1/projects/{deployment.project_id}/accounts:update"
    response = requests.post(url, json={"localId": person.uid, **fields}, headers=ADMINISTRATOR, timeout=TIMEOUT_S)
    assert response.status_code == 200, response.text


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


def debit(
    deployment: Deployment, person: Person, amount_micros: object, *, key: object, **rest: Any
) -> requests.Response:
    """A trusted backend charges the person. `rest` replaces or adds fields; `token` is the caller's."""
    token = rest.pop("token", deployment.backend_token)
    fields = {"account_id": f"user:{person.uid}", "amount_micros": amount_micros, "reason": "a report"}
    return call(deployment, "POST", "/v1/debits", token, json={**fields, "idempotency_key": key, **rest})


def wait_for_job(deployment: Deployment, token: str, job_id: str, status: str) -> dict[str, Any]:
    """The job once it has this status."""
    ends_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < ends_s:
        job: dict[str, Any] = answer(call(deployment, "GET", f"/v1/jobs/{job_id}", token))["job"]
        if job["status"] == status:
            return job
        time.sleep(0.1)
    raise AssertionError(f"the job never came to be {status}: {job}")
