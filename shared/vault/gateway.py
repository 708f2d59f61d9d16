"""Google's side of the vault: the key-encryption key in Cloud KMS, which wraps and unwraps without ever leaving it.

Every call is safe to repeat: wrapping once more makes another wrapped key, and a version too many harms nobody.
"""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

import requests
from google.auth.exceptions import GoogleAuthError

from shared.base.google import CONNECT_TIMEOUT_S, KMS_URL, READ_TIMEOUT_S, Google
from shared.vault.errors import VaultSealed, VaultUnavailable

_TIMEOUT = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
ENABLE_TRIES_MAX = 10
ENABLE_PAUSE_S = 1.0
"""A new version is made within seconds when its key is in software or an HSM."""


class KmsKey:
    """A symmetric key of Cloud KMS (purpose ENCRYPT_DECRYPT).

    https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys
    """

    def __init__(self, name: str, google: Google) -> None:
        """`name` is the key's full resource name, without a version."""
        self._name = name
        self._google = google

    async def primary_version(self) -> str:
        """The version that wraps now."""
        return _text(await self._ask("GET", "", {}), "primary", "name")

    async def wrap(self, data_key: bytes, context: bytes) -> tuple[str, bytes]:
        """Under the primary version; the answer says which one that was."""
        body = {"plaintext": _base64(data_key), "additionalAuthenticatedData": _base64(context)}
        said = await self._ask("POST", ":encrypt", body)
        return _text(said, "name"), _bytes(said, "ciphertext")

    async def unwrap(self, version: str, wrapped: bytes, context: bytes) -> bytes:
        """The ciphertext itself tells Cloud KMS the version. Raise VaultSealed when it refuses these bytes."""
        body = {"ciphertext": _base64(wrapped), "additionalAuthenticatedData": _base64(context)}
        return _bytes(await self._ask("POST", ":decrypt", body, sealed_on=HTTPStatus.BAD_REQUEST), "plaintext")

    async def rotate(self) -> str:
        """Make a version and let it be the primary one as soon as Cloud KMS has made it."""
        name = _text(await self._ask("POST", "/cryptoKeyVersions", {}), "name")
        number = name.rpartition("/")[2]
        for _ in range(ENABLE_TRIES_MAX):
            if (await self._ask("GET", f"/cryptoKeyVersions/{number}", {})).get("state") == "ENABLED":
                # If we die before this, there is a version that nothing uses.
                await self._ask("POST", ":updatePrimaryVersion", {"cryptoKeyVersionId": number})
                return name
            await asyncio.sleep(ENABLE_PAUSE_S)
        raise VaultUnavailable("did not finish a new version in time")

    async def _ask(
        self,
        method: Literal["GET", "POST"],
        path: str,
        body: Mapping[str, Any],
        *,
        sealed_on: HTTPStatus | None = None,
    ) -> dict[str, Any]:
        url = f"{KMS_URL}/{self._name}{path}"

        def ask(session: requests.Session) -> requests.Response:
            if method == "GET":
                return session.get(url, timeout=_TIMEOUT)
            return session.post(url, json=body, timeout=_TIMEOUT)

        try:
            response = await self._google.ask(ask)
            if response.status_code == sealed_on:
                raise VaultSealed("Cloud KMS does not unwrap this")
            if response.status_code != HTTPStatus.OK:
                # Its words may repeat what was asked, so its status is all that is told.
                raise VaultUnavailable(f"answered {response.status_code}")
            said = response.json()
        except (requests.RequestException, GoogleAuthError, TimeoutError) as error:
            # Without its cause: the request, and with it a data key, hangs on the error of the library.
            raise VaultUnavailable(f"did not answer: {type(error).__name__}") from None
        if not isinstance(said, dict):
            raise VaultUnavailable("answered what cannot be read")
        return said


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _text(said: Mapping[str, Any], *path: str) -> str:
    value: Any = said
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value:
        raise VaultUnavailable("answered what cannot be read")
    return value


def _bytes(said: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(said, name), validate=True)
    except binascii.Error:
        raise VaultUnavailable("answered what cannot be read") from None
