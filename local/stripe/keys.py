"""Idempotency keys, as Stripe keeps them: a request of the same key gets the same answer, another one an error."""

import copy
import hashlib
import json
from collections.abc import Callable

from local.stripe.objects import Object
from local.stripe.refusal import StripeRefusal


class Keys:
    """Answers by key."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, Object]] = {}

    def once(self, key: str | None, request: list[object], make: Callable[[], Object]) -> Object:
        """The answer to the first request of the key. Raise StripeRefusal; a refusal is not kept."""
        asked = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        if key is not None and key in self._answers:
            if self._answers[key][0] != asked:
                raise StripeRefusal(400, "idempotency_error", "idempotency_error")
            return copy.deepcopy(self._answers[key][1])
        answer = make()
        if key is not None:
            self._answers[key] = (asked, copy.deepcopy(answer))
        return copy.deepcopy(answer)

    def forget(self) -> None:
        """What Stripe does after a day."""
        self._answers.clear()
