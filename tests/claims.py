"""Claims of every row of a long table, each one test: to begin and end a test takes longer than such a claim."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Claim = Callable[[Row], None]


def of_each(rows: Sequence[Row], name: Callable[[Row], str]) -> Callable[[Claim[Row]], Callable[[], None]]:
    """Make a claim of one row a test of all; it tells every row that the claim is false of, by its name."""

    def made(claim: Claim[Row]) -> Callable[[], None]:
        def test() -> None:
            assert rows, "there is nothing to claim this of"
            broken = []
            for row in rows:
                try:
                    claim(row)
                except AssertionError as error:
                    error.add_note(f"said of {name(row)}")
                    broken.append(error)
            if broken:
                raise ExceptionGroup("false of some rows", broken)

        test.__name__, test.__doc__, test.__module__ = claim.__name__, claim.__doc__, claim.__module__
        return test

    return made
