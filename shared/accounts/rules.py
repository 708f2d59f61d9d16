"""Pure decisions about people: when two e-mail addresses are one person's."""

import hashlib

_IGNORES_DOTS = frozenset({"gmail.com", "googlemail.com"})


def person_signal(email: str) -> str:
    """A stable name for the person behind an address, without the address in it.

    Case, `+tags` and Gmail's dots make new addresses for free, so they make no new person.
    """
    local, _, domain = email.strip().rstrip(".").casefold().rpartition("@")
    local = local.partition("+")[0]
    if domain in _IGNORES_DOTS:
        local, domain = local.replace(".", ""), "gmail.com"
    return hashlib.sha256(f"credence.person.v1:{local}@{domain}".encode()).hexdigest()
