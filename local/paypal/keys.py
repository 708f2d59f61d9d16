"""PayPal-Request-Id: a request that comes again under its key is answered as the first one was, a refusal too."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from local.paypal.refusal import PayPalRefusal, unprocessable
from local.paypal.shapes import copy_of

Object = dict[str, Any]


class RequestKeys:
    """What was answered under each key."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[str, Object | PayPalRefusal]] = {}

    def once(self, key: str | None, path: str, asked: Mapping[str, Any], make: Callable[[], Object]) -> Object:
        """The answer that is made, or was made before. Raise PayPalRefusal."""
        digest = hashlib.sha256(json.dumps([path, asked], sort_keys=True).encode()).hexdigest()
        if key is None:
            return copy_of(make())
        if key not in self._answers:
            try:
                self._answers[key] = digest, copy_of(make())
            except PayPalRefusal as refusal:
                self._answers[key] = digest, refusal
        first, answer = self._answers[key]
        if digest != first:
            raise unprocessable("PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
        if isinstance(answer, PayPalRefusal):
            raise answer
        return copy_of(answer)

    def forget(self) -> None:
        """What PayPal does after some hours, or weeks."""
        self._answers.clear()
