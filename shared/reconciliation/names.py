"""Which words in a provider's books can name an order of ours: whoever uses the same account may write anything."""

import re

from shared.payments.models import OrderId

_ORDER_ID = re.compile(r"[a-z2-7]{24}")


def order_named(text: object) -> OrderId | None:
    """The order that the text names; None for anything that is no order's name."""
    return OrderId(text) if isinstance(text, str) and _ORDER_ID.fullmatch(text) else None
