"""What an account at the stand-in keeps: objects, each of the platform or of a connected account, and events."""

import copy
import itertools
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.stripe.refusal import StripeRefusal

Object = dict[str, Any]
PLATFORM = ""
"""The owner of what belongs to no connected account."""
LISTED_MAX = 100
LISTED_DEFAULT = 10


class Objects:
    """Objects by id, in the order in which they were made. `events` are oldest first."""

    def __init__(self, clock_s: Callable[[], int], *, is_live: bool) -> None:
        self.is_live = is_live
        self.events: list[Object] = []
        self.clock_s = clock_s
        self._objects: dict[str, Object] = {}
        self._owners: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def __getitem__(self, object_id: str) -> Object:
        return self._objects[object_id]

    def get(self, object_id: object) -> Object | None:
        """The object itself, whoever owns it."""
        return self._objects.get(object_id) if isinstance(object_id, str) else None

    def owner_of(self, object_id: str) -> str:
        """The connected account, or PLATFORM."""
        return self._owners[object_id]

    def add(self, kind: str, prefix: str, *, owner: str = PLATFORM, **fields: Any) -> Object:
        """Make an object."""
        object_id = f"{prefix}_{self._name()}"
        made = {"id": object_id, "object": kind, "created": self.clock_s(), "livemode": self.is_live, **fields}
        self._objects[object_id] = made
        self._owners[object_id] = owner
        return made

    def all(self, kind: str, owner: str = PLATFORM) -> list[Object]:
        """All objects of a kind, oldest first."""
        return [one for one in self._objects.values() if one["object"] == kind and self._owners[one["id"]] == owner]

    def find(self, kind: str, object_id: object, owner: str = PLATFORM) -> Object:
        """The object itself. Raise StripeRefusal."""
        found = self.get(object_id)
        if found is None or found["object"] != kind or self._owners[found["id"]] != owner:
            raise StripeRefusal(404, "resource_missing")
        return found

    def listed(self, kind: str, path: str, params: Mapping[str, Any], owner: str, filters: tuple[str, ...]) -> Object:
        """A page of a list, newest first: by `filters`, by `created`, and after another object."""
        limit = min(int(params.get("limit", LISTED_DEFAULT)), LISTED_MAX)
        wanted = {name: params[name] for name in filters if name in params}
        found = [one for one in reversed(self.all(kind, owner)) if all(one.get(n) == v for n, v in wanted.items())]
        found = [one for one in found if _is_within(one["created"], params.get("created"))]
        found = [one for one in found if _is_within(one.get("arrival_date", 0), params.get("arrival_date"))]
        if "starting_after" in params:
            ids = [one["id"] for one in found]
            if params["starting_after"] not in ids:
                raise StripeRefusal(404, "resource_missing")
            found = found[ids.index(params["starting_after"]) + 1 :]
        return {"object": "list", "url": path, "has_more": len(found) > limit, "data": copy.deepcopy(found[:limit])}

    def tell(self, kind: str, about: Object) -> None:
        """An event with the object as it is now; one of a connected account names it."""
        owner = self._owners.get(about["id"], PLATFORM)
        event = {
            "id": f"evt_{self._name()}",
            "object": "event",
            "type": kind,
            "created": self.clock_s(),
            "livemode": self.is_live,
            "data": {"object": copy.deepcopy(about)},
        }
        self.events.append({**event, "account": owner} if owner else event)

    def tell_thin(self, kind: str, account_id: str) -> None:
        """An event of the second API: it says where to look, and nothing else."""
        event = {
            "id": f"evt_{'' if self.is_live else 'test_'}{self._name()}",
            "object": "v2.core.event",
            "type": kind,
            "created": datetime.fromtimestamp(self.clock_s(), UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "livemode": self.is_live,
            "context": None,
            "related_object": {
                "id": account_id,
                "type": "v2.core.account",
                "url": f"/v2/core/accounts/{account_id}",
            },
        }
        self.events.append(event)

    def _name(self) -> str:
        return f"{next(self._numbers):06d}{secrets.token_hex(8)}"


def _is_within(created: int, asked: Any) -> bool:
    """Whether a time fits `created`: a number, or bounds called gt, gte, lt and lte."""
    if asked is None:
        return True
    if not isinstance(asked, Mapping):
        return created == int(asked)
    return (
        created > int(asked.get("gt", created - 1))
        and created >= int(asked.get("gte", created))
        and created < int(asked.get("lt", created + 1))
        and created <= int(asked.get("lte", created))
    )
