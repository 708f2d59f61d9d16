"""Secrets that a provider signs its events with: one, or two while one replaces the other."""

from shared.base.secret import Secret

SECRETS_MAX = 2
"""The one that is in use and the one that is being replaced."""


def parse_signing_secrets(secrets: Secret | None, setting: str) -> tuple[bytes, ...]:
    """Each secret, where a comma stands between two; none for none.

    Raise ValueError, naming the setting, for an empty one, by which everybody could sign, or for more.
    """
    if secrets is None:
        return ()
    parts = [part.strip() for part in secrets.reveal().split(",")]
    if not all(parts) or len(parts) > SECRETS_MAX:
        raise ValueError(f"{setting} holds one secret, or {SECRETS_MAX} with a comma between")
    return tuple(part.encode() for part in parts)
