"""The emulator as one project's clients and its admin reach it.

The calls are gRPC, as the mobile SDKs make them. The emulator's REST gateway cannot be used: it takes the colon of an
account id for the start of a verb, so `accounts/user:alice:runQuery` reaches no method.
"""

import base64
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

CALL_TIMEOUT_S = 10.0
Metadata = tuple[tuple[str, str], ...]
ADMIN: Metadata = (("authorization", "Bearer owner"),)
"""The emulator takes this for the admin SDK, which no rule binds."""


@dataclass(frozen=True)
class Query:
    """A query as a client sends it; the documents of the table hold an answer to each."""

    collection: str
    parent: str = ""
    body: dict[str, Any] = field(default_factory=lambda: {"limit": 1})
    descend: bool = False
    count: bool = False
    named: str = ""
    """Only the document of this name, so that the rules could know it."""


class Database:
    """The emulator as one project's clients and its admin reach it."""

    def __init__(self, host: str, project_id: str) -> None:
        self.project_id = project_id
        self._database = f"projects/{project_id}/databases/(default)"
        self._root = f"{self._database}/documents"
        self._channel = grpc.insecure_channel(host)
        self._api = FirestoreClient(transport=FirestoreGrpcTransport(channel=self._channel))

    def close(self) -> None:
        self._channel.close()

    def metadata(self, uid: str | None, claims: dict[str, Any]) -> Metadata:
        """What a signed-in client sends. The emulator takes unsigned tokens; no `uid` is a client not signed in."""
        if uid is None:
            return ()
        issued_s = int(time.time())
        payload = {
            "iss": f"https://securetoken.google.com/{self.project_id}",
            "aud": self.project_id,
            "sub": uid,
            "user_id": uid,
            "iat": issued_s,
            "auth_time": issued_s,
            "exp": issued_s + 3600,
            "firebase": {"sign_in_provider": "custom", "identities": {}},
            **claims,
        }
        return (("authorization", f"Bearer {_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(payload)}."),)

    def seed(self, paths: Iterable[str]) -> None:
        """Put a document at every path, as the admin SDK does."""
        self._commit([self._document(path) for path in paths], ADMIN)

    def try_document(self, operation: str, path: str, metadata: Metadata) -> None:
        """Raise PermissionDenied unless the rules allow it."""
        if operation == "get":
            request = {"database": self._database, "documents": [f"{self._root}/{path}"]}
            [answer] = self._api.batch_get_documents(request, metadata=metadata, retry=None, timeout=CALL_TIMEOUT_S)
            assert answer.found.name.endswith(path)
        elif operation == "delete":
            self._commit([{"delete": f"{self._root}/{path}"}], metadata)
        else:
            write = {**self._document(path), "current_document": {"exists": operation == "update"}}
            self._commit([write], metadata)

    def write_fields(self, path: str, fields: dict[str, Any], mask: Iterable[str], metadata: Metadata) -> None:
        """Write the fields that the mask names; one that it names alone is deleted. Raise PermissionDenied."""
        write = {"update": {"name": f"{self._root}/{path}", "fields": fields}, "update_mask": {"field_paths": [*mask]}}
        self._commit([write], metadata)

    def try_query(self, query: Query, metadata: Metadata) -> None:
        """Raise PermissionDenied unless the rules allow it."""
        selector = {"collection_id": query.collection, "all_descendants": query.descend}
        structured = {"from_": [selector], **query.body}
        if query.named:
            name = {"reference_value": f"{self._root}/{query.named}"}
            only = {"field": {"field_path": "__name__"}, "op": "EQUAL", "value": name}
            structured["where"] = {"field_filter": only}
        parent = self._root + query.parent
        if query.count:
            aggregation = {"structured_query": structured, "aggregations": [{"count": {}, "alias": "n"}]}
            counting = {"parent": parent, "structured_aggregation_query": aggregation}
            [counted] = self._api.run_aggregation_query(counting, metadata=metadata, retry=None, timeout=CALL_TIMEOUT_S)
            assert counted.result.aggregate_fields["n"].integer_value
        else:
            running = {"parent": parent, "structured_query": structured}
            answers = self._api.run_query(running, metadata=metadata, retry=None, timeout=CALL_TIMEOUT_S)
            assert any(answer.document.name for answer in answers)

    def _commit(self, writes: list[dict[str, Any]], metadata: Metadata) -> None:
        request = {"database": self._database, "writes": writes}
        self._api.commit(request, metadata=metadata, retry=None, timeout=CALL_TIMEOUT_S)

    def _document(self, path: str) -> dict[str, Any]:
        # A card or an ad is its owner's by what it says; in the table the last part of the path says it too.
        owner = {"string_value": path.rpartition("/")[2]}
        fields = {"seq": {"integer_value": 1}, "owner": owner, "user_id": owner}
        # One pool is public, and from one its only member has left.
        fields["public"] = {"boolean_value": path == "pools/open"}
        fields["standing"] = {"string_value": "left" if path.startswith("pools/left/") else "in"}
        return {"update": {"name": f"{self._root}/{path}", "fields": fields}}


def _segment(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
