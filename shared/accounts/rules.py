"""Pure decisions about people: when two e-mail addresses are one person's."""

import hashlib

_IGNORES_DOTS = frozenset({"gmail.com"})
_SAME_MAILBOX = {
    "googlemail.com": "gmail.com",
    "protonmail.com": "proton.me",
    "protonmail.ch": "proton.me",
    "pm.me": "proton.me",
    "me.com": "icloud.com",
    "mac.com": "icloud.com",
    "ya.ru": "yandex.ru",
    "yandex.com": "yandex.ru",
    "yandex.by": "yandex.ru",
    "yandex.kz": "yandex.ru",
}
"""Domains under which a provider delivers to one mailbox."""


def person_signal(email: str) -> str:
    """A stable name for the person behind an address, without the address in it.

    Case, quotes, `+tags`, Gmail's dots and other names of one domain make new addresses for free, so they make no new
    person.
    """
    local, _, domain = email.strip().rstrip(".").casefold().rpartition("@")
    domain = _ascii(domain)
    domain = _SAME_MAILBOX.get(domain, domain)
    local = local.replace('"', "").partition("+")[0]
    if domain in _IGNORES_DOTS:
        local = local.replace(".", "")
    return hashlib.sha256(f"credence.person.v1:{local}@{domain}".encode()).hexdigest()


def _ascii(domain: str) -> str:
    """The form in which mail servers know it."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
