"""Tokens of the real Auth emulator, from sign-up to revocation."""

from typing import Any

import pytest
import requests

from shared.base.clock import system_clock
from shared.base.settings import Environment, Settings
from shared.identity.errors import TokenInvalid, TokenRevoked, UserDisabled
from shared.identity.service import Identity

pytestmark = pytest.mark.stack
PASSWORD = "correct horse"


class Emulator:
    """The emulator's REST interface, for one project."""

    def __init__(self, host: str, project_id: str) -> None:
        self._url = f"http://{host}/identitytoolkit.googleapis.com/v1"
        self._project_id = project_id

    def add_user(self, email: str, **account: object) -> str:
        """Create a user as an administrator, which is how one is made in a project other than the default."""
        return str(
            self._post(f"/projects/{self._project_id}/accounts", email=email, password=PASSWORD, **account)["localId"]
        )

    def sign_in(self, email: str) -> str:
        """The ID token. The project is named in the body: an API key always stands for the emulator's default one."""
        return str(
            self._post(
                "/accounts:signInWithPassword",
                email=email,
                password=PASSWORD,
                targetProjectId=self._project_id,
                returnSecureToken=True,
            )["idToken"]
        )

    def change_user(self, uid: str, **account: object) -> None:
        self._post(f"/projects/{self._project_id}/accounts:update", localId=uid, **account)

    def delete_user(self, uid: str) -> None:
        self._post(f"/projects/{self._project_id}/accounts:delete", localId=uid)

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        response = requests.post(
            self._url + path, json=body, headers={"Authorization": "Bearer owner"}, timeout=10, proxies={"http": ""}
        )
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def host(stack: Any, project_id: str) -> str:
    return str(stack.environment(project_id)["FIREBASE_AUTH_EMULATOR_HOST"])


@pytest.fixture
def emulator(host: str, project_id: str) -> Emulator:
    return Emulator(host, project_id)


def _identity(host: str, project_id: str) -> Identity:
    """A fresh one remembers nobody."""
    return Identity.from_settings(
        Settings(environment=Environment.LOCAL, project_id=project_id, firebase_auth_emulator_host=host), system_clock
    )


async def test_a_user_of_the_emulator_is_known_until_revoked(host: str, emulator: Emulator, project_id: str) -> None:
    uid = emulator.add_user("alice@example.com", emailVerified=True)
    token = emulator.sign_in("alice@example.com")
    identity = _identity(host, project_id)

    user = await identity.user(token)
    assert (user.uid, user.email, user.email_verified) == (uid, "alice@example.com", True)
    assert user.sign_in_provider == "password"

    with pytest.raises(TokenInvalid):
        await _identity(host, "demo-other").user(token)

    emulator.change_user(uid, disableUser=True)
    assert (await identity.user(token)).uid == uid
    with pytest.raises(UserDisabled):
        await _identity(host, project_id).user(token)
    emulator.change_user(uid, disableUser=False)
    assert (await _identity(host, project_id).user(token)).uid == uid

    emulator.change_user(uid, validSince=str(user.auth_time_s + 1))
    with pytest.raises(TokenRevoked):
        await _identity(host, project_id).user(token)


async def test_a_deleted_user_of_the_emulator_is_not_let_in(host: str, emulator: Emulator, project_id: str) -> None:
    uid = emulator.add_user("bob@example.com")
    token = emulator.sign_in("bob@example.com")
    emulator.delete_user(uid)

    with pytest.raises(TokenRevoked):
        await _identity(host, project_id).user(token)
