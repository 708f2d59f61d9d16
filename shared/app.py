"""The app: all that a process builds, each on first use. With `shared/parts` the only place that builds things."""

import asyncio
import os
from functools import cached_property
from typing import TYPE_CHECKING

from shared.base.settings import GOOGLE_AD_KEYS_URL, Settings
from shared.parts.agents import AgentParts
from shared.parts.conversations import ConversationParts
from shared.parts.payouts import PayoutParts
from shared.parts.pools import PoolParts
from shared.parts.resources import ResourceParts

if TYPE_CHECKING:
    from shared.accounts.service import Accounts
    from shared.ads.service import Ads
    from shared.cards.keys import CardKeys
    from shared.cards.service import Cards
    from shared.cards.store import FirestoreCards
    from shared.cards.sweep import CardSweep
    from shared.freezing.service import Freezing
    from shared.identity.service import Identity
    from shared.notices.service import Notices


class App(AgentParts, ConversationParts, ResourceParts, PayoutParts, PoolParts):
    """One process's collaborators, on one event loop: those of its people here, the others in `shared/parts`."""

    @cached_property
    def identity(self) -> "Identity":
        from shared.identity.service import Identity

        return Identity.from_settings(self.settings, self.clock)

    @cached_property
    def accounts(self) -> "Accounts":
        from shared.accounts.service import Accounts
        from shared.ledger.income import FirestoreIncome

        return Accounts(self.ledger, self.risk, FirestoreIncome(self.firestore))

    @cached_property
    def ads(self) -> "Ads":
        from shared.ads.gateway import VerifierKeys, keys_at, keys_in
        from shared.ads.service import Ads
        from shared.ads.store import FirestoreAds
        from shared.base.ad_units import parse_ad_units

        key_file = self.settings.ad_keys_file
        keys = VerifierKeys(keys_in(key_file) if key_file else keys_at(GOOGLE_AD_KEYS_URL), self.clock)
        units = parse_ad_units(self.settings.ad_units)
        return Ads(self.ledger, FirestoreAds(self.firestore), keys, units, self.clock)

    @cached_property
    def card_store(self) -> "FirestoreCards":
        from shared.cards.store import FirestoreCards

        return FirestoreCards(self.firestore)

    @cached_property
    def cards(self) -> "Cards":
        from shared.cards.service import Cards

        return Cards(self.ledger, self.funds, self.card_store, self.clock)

    @cached_property
    def card_sweep(self) -> "CardSweep":
        from shared.cards.sweep import CardSweep

        return CardSweep(self.cards, self.card_store)

    @cached_property
    def card_keys(self) -> "CardKeys":
        from shared.cards.keys import CardKeys

        return CardKeys(self.cards, self.ledger, self.funds, self.card_store, self.clock)

    @cached_property
    def freezing(self) -> "Freezing":
        from shared.freezing.service import Freezing
        from shared.risk.decisions import Decisions
        from shared.risk.store import FirestoreRisk

        # Without the key of signals: who freezes looks nobody up.
        decisions = Decisions(FirestoreRisk(self.firestore))
        return Freezing(
            ledger=self.ledger,
            store=self.ledger_store,
            administration=self.administration,
            decisions=decisions,
            cards=self.card_store,
            sessions=self.session_store,
            pools=self.pool_store,
            clock=self.clock,
        )

    @cached_property
    def notices(self) -> "Notices":
        from shared.notices.service import Notices
        from shared.notices.store import FirestoreNotices

        return Notices(FirestoreNotices(self.firestore))


_built: tuple[asyncio.AbstractEventLoop, App] | None = None


def current_app() -> App:
    """The app of the running event loop, built from the environment on its first use.

    Not at import: gunicorn imports before it forks, and clients are bound to the loop they first ran on.
    Raise SettingsWrong when the environment cannot be used.
    """
    global _built
    loop = asyncio.get_running_loop()
    if _built is None or _built[0] is not loop:
        _built = (loop, App(Settings.from_environment(os.environ)))
    return _built[1]
