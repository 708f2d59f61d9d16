"""Finishes closings that had to wait: their calls have ended since, or whoever closed them died in between."""

import secrets
from collections.abc import AsyncIterator, Callable

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.base.together import all_of
from shared.cards.models import Card, CardId, CardStatus
from shared.cards.rules import card_id_from
from shared.cards.service import Cards
from shared.cards.store import CardStore

CARDS_MAX = 1_000
"""In one run; what is left over is for the next ones."""
AT_ONCE_MAX = 10
PLACE_BYTES = 8


def random_place() -> CardId:
    """Anywhere among the cards. From there on each run looks, so that those that cannot be closed stop no others."""
    return card_id_from(secrets.token_bytes(PLACE_BYTES))


class SweepReport(Struct, frozen=True):
    """What a run did. `finished` is false when there were more cards than one run takes."""

    closed: int = 0
    waiting: int = 0
    """Calls of theirs are still under way, or an operator has frozen their account."""
    returned_micros: int = 0
    finished: bool = True


class CardSweep:
    """Looks at all cards that are closing."""

    def __init__(
        self,
        cards: Cards,
        store: CardStore,
        *,
        new_place: Callable[[], CardId] = random_place,
        cards_max: int = CARDS_MAX,
    ) -> None:
        self._cards = cards
        self._store = store
        self._new_place = new_place
        self._cards_max = cards_max

    async def run(self) -> SweepReport:
        """Close what can be closed now, and give back what is free of the rest. Raise CardsUnavailable.

        It does what the owner's own repeat would do, so dying anywhere is as harmless.
        """
        report = SweepReport()
        seen = 0
        async for page in self._pages(self._new_place()):
            for at in range(0, len(page), AT_ONCE_MAX):
                parts = await all_of(self._close(card) for card in page[at : at + AT_ONCE_MAX])
                report = SweepReport(
                    report.closed + sum(part.closed for part in parts),
                    report.waiting + sum(part.waiting for part in parts),
                    report.returned_micros + sum(part.returned_micros for part in parts),
                )
            seen += len(page)
            if seen >= self._cards_max:
                return SweepReport(report.closed, report.waiting, report.returned_micros, finished=False)
        return report

    async def _pages(self, place: CardId) -> AsyncIterator[list[Card]]:
        """The cards behind the place, then those before it."""
        after: CardId | None = place
        while page := await self._store.closing(after=after):
            yield page
            after = page[-1].card_id
        after = None
        while (after is None or after <= place) and (page := await self._store.closing(after=after)):
            yield [card for card in page if card.card_id <= place]
            after = page[-1].card_id

    async def _close(self, card: Card) -> SweepReport:
        try:
            closed = await self._cards.close(card.owner, card.card_id)
        except CredenceError as error:
            write_line("WARNING", "card_not_closed", card=card.card_id, code=error.code)
            return SweepReport(waiting=1)
        done = closed.card.status is CardStatus.CLOSED
        return SweepReport(closed=int(done), waiting=int(not done), returned_micros=closed.returned_micros)
