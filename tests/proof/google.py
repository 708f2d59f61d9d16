"""A faithful stand-in for the two Google services: Cloud KMS's asymmetricSign and a bucket of Cloud Storage."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import requests

from shared.proof.signer import LocalSigner
from tests.proof.builders import signer

KEY_VERSION = "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"


def answer(status: int, body: bytes | dict[str, Any]) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response


@dataclass
class FakeGoogle(requests.Session):
    """Objects are created once and listed in order of name. `fail_with` makes every call fail."""

    key: LocalSigner = field(default_factory=signer)
    objects: dict[str, bytes] = field(default_factory=dict)
    fail_with: int | Exception | None = None
    calls: list[tuple[str, str, Any]] = field(default_factory=list)

    def post(self, url: str, data: Any = None, json: Any = None, **others: Any) -> requests.Response:  # type: ignore[override]
        return self._answer("POST", url, others, data, json)

    def get(self, url: str, **others: Any) -> requests.Response:  # type: ignore[override]
        return self._answer("GET", url, others, None, None)

    def _answer(self, method: str, url: str, others: dict[str, Any], data: Any, body: Any) -> requests.Response:
        self.calls.append((method, url, others))
        assert others["timeout"], "every call states its timeout"
        if isinstance(self.fail_with, Exception):
            raise self.fail_with
        if self.fail_with is not None:
            return answer(self.fail_with, {"error": {"code": self.fail_with}})
        parameters = others.get("params", {})
        if url == f"https://cloudkms.googleapis.com/v1/{KEY_VERSION}:asymmetricSign":
            signature = self.key._key.sign(base64.b64decode(body["data"]))
            return answer(200, {"name": KEY_VERSION, "signature": base64.b64encode(signature).decode()})
        if url == "https://storage.googleapis.com/upload/storage/v1/b/checkpoints-bucket/o":
            assert parameters["ifGenerationMatch"] == "0", "a note is never written over"
            if parameters["name"] in self.objects:
                return answer(412, {"error": {"code": 412}})
            self.objects[parameters["name"]] = data
            return answer(200, {"name": parameters["name"]})
        listing = "https://storage.googleapis.com/storage/v1/b/checkpoints-bucket/o"
        if url == listing:
            names = sorted(name for name in self.objects if name.startswith(parameters["prefix"]))
            listed = [{"name": name} for name in names[: int(parameters["maxResults"])]]
            return answer(200, {"items": listed} if listed else {})
        name = unquote(url.removeprefix(f"{listing}/"))
        return answer(200, self.objects[name]) if name in self.objects else answer(404, {})
