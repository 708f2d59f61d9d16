"""Google's side of checkpoints: the key in Cloud KMS that signs them, the bucket that keeps them.

Every call is safe to repeat: Ed25519 signs alike each time, and a bucket's object is created once or not at all.
"""

import base64
import binascii
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote

import requests
from google.auth.exceptions import GoogleAuthError

from shared.base.google import CONNECT_TIMEOUT_S, KMS_URL, READ_TIMEOUT_S, Google
from shared.base.merkle import SIZE_MAX
from shared.proof.errors import SigningFailed, VaultConflict, VaultUnavailable
from shared.proof.note import VerifierKey
from shared.proof.vault import NAME_DIGITS, Published

STORAGE_URL = "https://storage.googleapis.com"
FOLDER = "checkpoints/"


class KmsSigner:
    """Signs with a key version in Cloud KMS whose algorithm is EC_SIGN_ED25519: it is sent the data, not a digest.

    https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign
    """

    def __init__(self, key_version: str, verifier_key: VerifierKey, google: Google) -> None:
        """`key_version` is the resource's full name; `verifier_key` is what everybody else was told of it."""
        self._url = f"{KMS_URL}/{key_version}:asymmetricSign"
        self._verifier_key = verifier_key
        self._google = google

    @property
    def verifier_key(self) -> VerifierKey:
        return self._verifier_key

    async def sign(self, message: bytes) -> bytes:
        body = {"data": base64.b64encode(message).decode()}
        timeout = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        try:
            response = await self._google.ask(lambda session: session.post(self._url, json=body, timeout=timeout))
            if response.status_code != HTTPStatus.OK:
                raise SigningFailed(f"Cloud KMS answered {response.status_code}")
            signature = base64.b64decode(response.json()["signature"], validate=True)
        except (requests.RequestException, GoogleAuthError, TimeoutError) as error:
            raise SigningFailed(f"Cloud KMS did not answer: {type(error).__name__}") from error
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise SigningFailed("Cloud KMS answered with no signature") from None
        if not self._verifier_key.verifies(message, signature):
            # It also finds bytes that were damaged on their way, in either direction.
            raise SigningFailed("what Cloud KMS signed does not verify under the key of the settings")
        return signature


class BucketVault:
    """One object for each note, in a bucket whose retention policy is locked.

    Names count down, so that the newest is the first of a listing, which has no other end to begin from.
    """

    def __init__(self, bucket: str, google: Google) -> None:
        self._bucket = bucket
        self._google = google

    async def publish(self, size: int, note: str) -> None:
        url = f"{STORAGE_URL}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o"
        parameters = {"uploadType": "media", "name": object_name(size), "ifGenerationMatch": "0"}
        headers = {"content-type": "text/plain; charset=utf-8"}
        response = await self._ask(
            lambda session: session.post(
                url,
                params=parameters,
                data=note.encode(),
                headers=headers,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            ),
            (HTTPStatus.OK, HTTPStatus.PRECONDITION_FAILED),
        )
        if response.status_code != HTTPStatus.OK and await self._read(size) != note:
            raise VaultConflict(f"another checkpoint of size {size} is in the vault")

    async def latest(self) -> Published | None:
        url = f"{STORAGE_URL}/storage/v1/b/{quote(self._bucket, safe='')}/o"
        parameters = {"prefix": FOLDER, "maxResults": "1", "fields": "items(name)"}
        response = await self._ask(
            lambda session: session.get(url, params=parameters, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)),
            (HTTPStatus.OK,),
        )
        try:
            names = [item["name"] for item in response.json().get("items", [])]
            size = SIZE_MAX - int(names[0].removeprefix(FOLDER)) if names else None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise VaultUnavailable("Cloud Storage listed what is no checkpoint") from None
        return None if size is None else Published(size, await self._read(size))

    async def _read(self, size: int) -> str:
        url = f"{STORAGE_URL}/storage/v1/b/{quote(self._bucket, safe='')}/o/{quote(object_name(size), safe='')}"
        response = await self._ask(
            lambda session: session.get(url, params={"alt": "media"}, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)),
            (HTTPStatus.OK,),
        )
        return response.content.decode("utf-8", "replace")

    async def _ask(
        self, call: Callable[[requests.Session], requests.Response], expected: tuple[int, ...]
    ) -> requests.Response:
        try:
            response = await self._google.ask(call)
        except (requests.RequestException, GoogleAuthError, TimeoutError) as error:
            raise VaultUnavailable(f"Cloud Storage did not answer: {type(error).__name__}") from error
        if response.status_code not in expected:
            raise VaultUnavailable(f"Cloud Storage answered {response.status_code}")
        return response


def object_name(size: int) -> str:
    """The object that holds the note of a size."""
    return f"{FOLDER}{SIZE_MAX - size:0{NAME_DIGITS}d}"
