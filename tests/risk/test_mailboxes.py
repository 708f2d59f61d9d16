"""When two addresses are one person's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.base.secret import Secret
from shared.risk.models import SignalKind
from shared.risk.rules import NAME_CHARS, mailbox_of, signal_of

ADA = "ada.lovelace@gmail.com"


@pytest.mark.parametrize(
    "address",
    [
        "ADA.LOVELACE@GMAIL.COM",
        "adalovelace@gmail.com",
        "a.d.a.lovelace@gmail.com",
        "ada.lovelace+credence@gmail.com",
        "ada.lovelace+a+b@gmail.com",
        "adalovelace@googlemail.com",
        " ada.lovelace@gmail.com ",
        "ada.lovelace@gmail.com.",
    ],
)
def test_free_variations_of_an_address_are_one_person(address: str) -> None:
    """Each of these arrives in the same mailbox."""
    assert mailbox_of(address) == mailbox_of(ADA)


@pytest.mark.parametrize(
    "address",
    [
        "ada@gmail.com",
        "ada.lovelace@example.com",
        "adalovelace@example.com",
        "ada.lovelace@mail.gmail.com",
        "ada.lovelace@gmail.co",
        "lovelace.ada@gmail.com",
    ],
)
def test_other_addresses_are_other_people(address: str) -> None:
    """A bonus is not denied for a likeness."""
    assert mailbox_of(address) != mailbox_of(ADA)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada@proton.me", "ada@protonmail.com"),
        ("ada@pm.me", "ADA@proton.me"),
        ("ada@icloud.com", "ada@me.com"),
        ("ada@yandex.com", "ada@ya.ru"),
        ('"ada"@gmail.com', "a.da@googlemail.com"),
        ("ada@ex\u00e4mple.com", "ada@xn--exmple-cua.com"),
    ],
)
def test_other_names_of_one_mailbox_are_one_person(one: str, other: str) -> None:
    """Quotes, a provider's other domains, and the two ways to write a domain."""
    assert mailbox_of(one) == mailbox_of(other)


def test_dots_matter_where_the_provider_says_so() -> None:
    """Only Gmail ignores them."""
    assert mailbox_of("ada.l@example.com") != mailbox_of("adal@example.com")
    assert mailbox_of("ada+x@example.com") == mailbox_of("ada@example.com")


@settings(max_examples=20)
@given(st.emails())
def test_a_signal_is_stable_and_tells_nothing(address: str) -> None:
    """Hexadecimal, of one length, the same each time, another one under another key."""
    names = [
        signal_of(Secret(key), SignalKind.EMAIL, mailbox_of(text)).name
        for key, text in (("one", address), ("one", address.upper()), ("another", address))
    ]

    assert names[0] == names[1] != names[2]
    assert {len(name) for name in names} == {NAME_CHARS}
    assert set(names[0]) <= set("0123456789abcdef")
