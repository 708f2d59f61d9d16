"""A contributed key as it stands on the shelf of one process, and the part of its quota that the process may spend."""

import secrets
from typing import NewType

from msgspec import Struct

from shared.base.ids import UserId
from shared.resources.models import ContributedKey, KeyId
from shared.routing.models import Condition

LeaseId = NewType("LeaseId", str)
Version = NewType("Version", object)
"""Opaque: names one state of one document."""

LEASE_FACT = "key_lease"
"""The fact of a capture that names the lease under which a contributed key served it."""


def new_lease_id() -> LeaseId:
    """A fresh id."""
    return LeaseId("lse_" + secrets.token_hex(12))


class Shelved(Struct, frozen=True):
    """A key as it was read or written, with the version that a later write must still find."""

    key: ContributedKey
    version: Version

    @property
    def left_micros(self) -> int:
        """What of the quota nobody has leased."""
        return self.key.quota_micros - self.key.leased_micros + self.key.returned_micros


class Lease(Struct, frozen=True, kw_only=True):
    """A part of a key's quota that one process may spend, and nobody else. Times are of the wall clock."""

    id: LeaseId
    key_id: KeyId
    amount_micros: int
    begun_at_ms: int
    spend_until_ms: int
    """No call is begun under it later."""
    expires_at_ms: int
    """Every call begun under it is over by then, so that what it used can be counted."""


class DueLease(Struct, frozen=True):
    """An open lease whose process did not close it in time, as it was read."""

    lease: Lease
    owner: UserId
    version: Version


class OpenLease(Struct):
    """A lease in the memory of the process that has it. Changed in place, between two awaits."""

    lease: Lease
    version: Version
    used_micros: int = 0
    reserved_micros: int = 0
    """The worst cases of calls under way."""

    @property
    def room_micros(self) -> int:
        """What no call has used or may still use."""
        return self.lease.amount_micros - self.used_micros - self.reserved_micros


class Stand(Struct):
    """What this process knows of one key beside what the store says. Changed in place."""

    shelved: Shelved
    turn: int
    """Grows as the key is used, by less for a key of more weight. The lowest is next."""
    weight: int
    condition: Condition = Condition()
    """As of a route: when it may be asked again, and how often it answered."""
    leases: list[OpenLease] = []

    @property
    def id(self) -> KeyId:
        """Of the key."""
        return self.shelved.key.id
