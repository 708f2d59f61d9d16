"""A faithful stand-in for Cloud KMS as a vault uses it: versions of a symmetric key that never leave it."""

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import requests
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAME = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"
URL = f"https://cloudkms.googleapis.com/v1/{NAME}"


def answer(status: int, body: dict[str, Any]) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    return response


@dataclass
class FakeKms(requests.Session):
    """`fail_with` makes every call fail, `damages` spoils what is wrapped on its way to us."""

    versions: list[bytes] = field(default_factory=lambda: [secrets.token_bytes(32)])
    primary: int = 1
    fail_with: int | Exception | None = None
    damages: bool = False
    sent: list[str] = field(default_factory=list)

    def post(self, url: str, data: Any = None, json: Any = None, **others: Any) -> requests.Response:  # type: ignore[override]
        return self._answer(url, json, others)

    def get(self, url: str, **others: Any) -> requests.Response:  # type: ignore[override]
        return self._answer(url, {}, others)

    def _answer(self, url: str, body: dict[str, Any], others: dict[str, Any]) -> requests.Response:
        assert others["timeout"], "every call states its timeout"
        assert url.startswith(URL), "no other key is asked for"
        self.sent.append(str(body))
        if isinstance(self.fail_with, Exception):
            raise self.fail_with
        if self.fail_with is not None:
            return answer(self.fail_with, {"error": {"message": f"you asked {body}"}})
        match url.removeprefix(URL):
            case "":
                return answer(200, {"name": NAME, "primary": {"name": self._version_name(self.primary)}})
            case ":encrypt":
                return answer(200, self._encrypted(**_decoded(body)))
            case ":decrypt":
                return self._decrypted(**_decoded(body))
            case "/cryptoKeyVersions":
                self.versions.append(secrets.token_bytes(32))
                return answer(200, {"name": self._version_name(len(self.versions)), "state": "PENDING_GENERATION"})
            case ":updatePrimaryVersion":
                self.primary = int(body["cryptoKeyVersionId"])
                return answer(200, {"name": NAME})
            case path:
                assert int(path.removeprefix("/cryptoKeyVersions/")) <= len(self.versions)
                return answer(200, {"state": "ENABLED"})

    def _version_name(self, number: int) -> str:
        return f"{NAME}/cryptoKeyVersions/{number}"

    def _encrypted(self, plaintext: bytes, context: bytes) -> dict[str, Any]:
        nonce = secrets.token_bytes(12)
        sealed = AESGCM(self.versions[self.primary - 1]).encrypt(nonce, plaintext, context)
        raw = bytes([self.primary]) + nonce + (bytes(len(sealed)) if self.damages else sealed)
        return {"name": self._version_name(self.primary), "ciphertext": base64.b64encode(raw).decode()}

    def _decrypted(self, ciphertext: bytes, context: bytes) -> requests.Response:
        try:
            key = AESGCM(self.versions[ciphertext[0] - 1])
            plaintext = key.decrypt(ciphertext[1:13], ciphertext[13:], context)
        except (InvalidTag, IndexError):
            return answer(400, {"error": {"message": "Decryption failed"}})
        return answer(200, {"plaintext": base64.b64encode(plaintext).decode()})


def _decoded(body: dict[str, str]) -> dict[str, bytes]:
    names = {"additionalAuthenticatedData": "context"}
    return {names.get(name, name): base64.b64decode(value) for name, value in body.items()}
