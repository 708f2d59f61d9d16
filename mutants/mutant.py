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


def unasked(name: str, safeguard: str, path: str, condition: str, suites: tuple[str, ...]) -> Mutant:
    """A check whose condition never holds."""
    return Mutant(name, safeguard, path, f"if {condition}:", "if False:", suites)


def granted(name: str, safeguard: str, path: str, condition: str, suites: tuple[str, ...]) -> Mutant:
    """A line in a list of what must hold, which always does."""
    return Mutant(name, safeguard, path, f"({condition},", "(True,", suites)
