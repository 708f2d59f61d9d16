"""What a mutant is: one safeguard taken out of the code by replacing a piece of its text."""

from msgspec import Struct


class Mutant(Struct, frozen=True):
    """One safeguard less. The suites named are those that should notice; others are not asked, to be quick."""

    name: str
    safeguard: str
    path: str
    text: str
    becomes: str
    suites: tuple[str, ...]
    on_stack: bool = False
    """Whether only tests on the emulators can notice."""
