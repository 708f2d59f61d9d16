"""Identifiers as distinct types, so that the type checker keeps an account from passing for an entry."""

import hashlib
import secrets
from functools import lru_cache
from typing import NewType

AccountId = NewType("AccountId", str)
EntryId = NewType("EntryId", str)
HoldId = NewType("HoldId", str)
RequestId = NewType("RequestId", str)
UserId = NewType("UserId", str)

IDEMPOTENCY_KEY_CHARS_MAX = 200
"""Room for a prefix and a UUID or a provider's object id; longer keys are somebody's payload."""
IDS_REMEMBERED_MAX = 1_000
"""An operation's id is asked for at each step of its way to a commit; so many may be under way at once."""


@lru_cache(maxsize=IDS_REMEMBERED_MAX)
def entry_id_of(idempotency_key: str) -> EntryId:
    """The document id of the entry that `idempotency_key` stands for: its SHA-256, so any key makes a safe path."""
    return EntryId(hashlib.sha256(idempotency_key.encode()).hexdigest())


def new_request_id() -> RequestId:
    """A fresh id for one request, unguessable because a receipt's key is derived from it."""
    return RequestId("req_" + secrets.token_hex(16))
