"""Whether whoever pays for a job may still pay. A key is looked at once, when the job is asked for; a job goes on."""

from shared.agents.errors import CardStopped
from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.cards import rules
from shared.cards.errors import CardClosed, CardExpired, CardFrozen
from shared.cards.models import CardId
from shared.cards.store import CardStore

_CARD = "card:"


class Payers:
    """Asked before each paid call."""

    def __init__(self, cards: CardStore, clock: Clock) -> None:
        self._cards = cards
        self._clock = clock

    async def check(self, account_id: AccountId) -> None:
        """Raise CardStopped for a card that is frozen or expired, which its owner may undo; CardClosed, or
        CardsUnavailable. A wallet is the ledger's to look at.
        """
        if not account_id.startswith(_CARD):
            return
        kept = await self._cards.find(CardId(account_id.removeprefix(_CARD)))
        if kept is None:
            raise CardClosed
        try:
            rules.check_usable(kept.record.card, self._clock())
        except (CardFrozen, CardExpired) as refusal:
            raise CardStopped(refusal.message) from None
