"""PayPal's ids of our webhook, as they are configured. They are no secrets: each is a part of what PayPal signs."""

import re

IDS_MAX = 2
"""The one that is in use and the one that is being replaced."""
PLACEHOLDER = "WEBHOOK_ID"
"""What PayPal's simulator signs with, for anybody who asks: who took it for an id would take events of strangers."""
_ID = re.compile(r"[A-Za-z0-9]{1,50}")


def parse_webhook_ids(text: str | None) -> tuple[str, ...]:
    """The ids, which have a comma between two; none where there is none or only the placeholder.

    Raise ValueError, naming no value, for what can be no id.
    """
    parts = [part.strip() for part in (text or "").split(",")]
    if not text or PLACEHOLDER in [part.upper() for part in parts]:
        return ()
    if len(parts) > IDS_MAX or not all(map(_ID.fullmatch, parts)):
        raise ValueError(f"PAYPAL_WEBHOOK_ID holds one id of letters and digits, or {IDS_MAX} with a comma between")
    return tuple(parts)
