"""Signs people up at the Auth emulator, over the REST interface that Firebase's own client libraries use."""

import secrets
from dataclasses import dataclass
from typing import Any

import requests

from local.emulators import PROJECT_ID

TIMEOUT_S = 10.0
ADMINISTRATOR = {"authorization": "Bearer owner"}
"""What the emulator takes for an administrator's credentials."""


@dataclass(frozen=True)
class Person:
    """Somebody signed in. `token` is the Firebase ID token that functions take."""

    uid: str
    email: str
    token: str


class People:
    """The Auth emulator at `auth_address`."""

    def __init__(self, auth_address: str) -> None:
        self._mailbox = f"http://{auth_address}/emulator/v1/projects/{PROJECT_ID}/oobCodes"
        self._url = f"http://{auth_address}/identitytoolkit.googleapis.com/v1"

    def sign_up(self, email: str) -> Person:
        """What an app does: a new person of the emulator's own project, with an address nobody has verified."""
        credentials = {"email": email, "password": _password(), "returnSecureToken": True}
        added = self._post("/accounts:signUp?key=local", {}, **credentials)
        # The emulator reads its clock twice in a sign-up, so that now and then its own first token counts as revoked.
        signed_in = self._post("/accounts:signInWithPassword?key=local", {}, **credentials)
        return Person(added["localId"], email, signed_in["idToken"])

    def verify_email(self, person: Person) -> None:
        """Ask for the verification mail, take its code from the emulator's mailbox, and follow it."""
        self._post("/accounts:sendOobCode?key=local", {}, requestType="VERIFY_EMAIL", idToken=person.token)
        mails = requests.get(self._mailbox, timeout=TIMEOUT_S).json()["oobCodes"]
        code = next(mail["oobCode"] for mail in reversed(mails) if mail["email"] == person.email)
        self._post("/accounts:update?key=local", {}, oobCode=code)

    def add(self, project_id: str, *, email: str | None = None, verified: bool = True) -> Person:
        """What an administrator does: somebody new in any project, signed in."""
        email, password = email or f"{secrets.token_hex(6)}@example.com", _password()
        accounts = f"/projects/{project_id}/accounts"
        added = self._post(accounts, ADMINISTRATOR, email=email, password=password, emailVerified=verified)
        signed_in = self._post(
            "/accounts:signInWithPassword",
            ADMINISTRATOR,
            email=email,
            password=password,
            targetProjectId=project_id,
            returnSecureToken=True,
        )
        return Person(added["localId"], email, signed_in["idToken"])

    def _post(self, path: str, headers: dict[str, str], **body: object) -> dict[str, Any]:
        response = requests.post(self._url + path, json=body, headers=headers, timeout=TIMEOUT_S)
        if response.status_code != requests.codes.ok:
            raise RuntimeError(f"the Auth emulator refused {path.partition('?')[0]}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer


def _password() -> str:
    return secrets.token_urlsafe(12)
