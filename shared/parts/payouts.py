"""Builds what pays people out. It is there when its secrets are: without them it has no routes."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.reconciliation import ReconciliationParts

if TYPE_CHECKING:
    from shared.payments.stripe.gateway import StripeGateway
    from shared.payouts.applier import ConnectApplier
    from shared.payouts.decisions import Decisions
    from shared.payouts.events import ConnectInbox
    from shared.payouts.reader import PayoutReader
    from shared.payouts.recipients import Recipients
    from shared.payouts.rules import Waits
    from shared.payouts.schedule import PayoutSchedule
    from shared.payouts.sending import Sending
    from shared.payouts.service import Payouts
    from shared.payouts.standings import EarnerStandings
    from shared.payouts.store import FirestorePayouts
    from shared.payouts.stripe import StripeSender


class PayoutParts(ReconciliationParts):
    """Recipients, payouts, what Stripe tells of both."""

    @cached_property
    def connect_inbox(self) -> "ConnectInbox":
        """Raise PayoutsNotOffered where no secret proves events."""
        from shared.payouts.errors import PayoutsNotOffered
        from shared.payouts.events import ConnectEvents, ConnectInbox

        if self.settings.stripe_connect_webhook_secret is None:
            raise PayoutsNotOffered
        reader = ConnectEvents(self.settings.stripe_connect_webhook_secret, self.settings.money)
        return ConnectInbox(reader, self.tasks, self.clock)

    @cached_property
    def payouts(self) -> "Payouts":
        """Raise PayoutsNotOffered."""
        from shared.payouts.service import Payouts

        return Payouts(self._payout_store, self._standings, self.payout_sending, self.tasks, self.clock)

    @cached_property
    def payout_sending(self) -> "Sending":
        """Raise PayoutsNotOffered."""
        from shared.payouts.sending import Sending

        return Sending(
            self._payout_store,
            self._payout_sender,
            self.payment_store,
            self.ledger_engine,
            self.reversals,
            self._standings,
            self._waits,
            self.clock,
        )

    @cached_property
    def payout_decisions(self) -> "Decisions":
        from shared.payouts.decisions import Decisions

        return Decisions(self._payout_store, self.tasks, self.clock)

    @cached_property
    def payout_reader(self) -> "PayoutReader":
        from shared.payouts.reader import PayoutReader

        return PayoutReader(self._payout_store)

    @cached_property
    def payout_schedule(self) -> "PayoutSchedule":
        from shared.payouts.schedule import PayoutSchedule

        return PayoutSchedule(self._payout_store, self.tasks, self.clock)

    @cached_property
    def recipients(self) -> "Recipients":
        """Raise PayoutsNotOffered."""
        from shared.payouts.errors import PayoutsNotOffered
        from shared.payouts.recipients import Recipients
        from shared.payouts.store import FirestoreRecipients
        from shared.payouts.stripe import StripeAccounts

        if self.settings.payout_return_url is None:
            raise PayoutsNotOffered
        accounts = StripeAccounts(self._connect_api, self.settings.payout_return_url, self.settings.money)
        return Recipients(FirestoreRecipients(self.firestore), accounts, self.clock)

    @cached_property
    def connect_applier(self) -> "ConnectApplier":
        """Raise PayoutsNotOffered."""
        from shared.payouts.applier import ConnectApplier

        return ConnectApplier(self._payout_sender, self.recipients, self.payout_sending, self._payout_store)

    @cached_property
    def _standings(self) -> "EarnerStandings":
        from shared.ledger.income import FirestoreIncome
        from shared.payouts.standings import EarnerStandings
        from shared.payouts.store import FirestorePurchases

        income, purchases = FirestoreIncome(self.firestore), FirestorePurchases(self.firestore)
        return EarnerStandings(self.recipients, self.ledger_store, income, purchases, self._waits, self.clock)

    @cached_property
    def _payout_store(self) -> "FirestorePayouts":
        from shared.payouts.store import FirestorePayouts

        return FirestorePayouts(self.firestore)

    @cached_property
    def _payout_sender(self) -> "StripeSender":
        from shared.payouts.stripe import StripeSender

        return StripeSender(self._connect_api, self.settings.money)

    @cached_property
    def _connect_api(self) -> "StripeGateway":
        """Whoever is not told what becomes of a payout must not begin one."""
        from shared.payments.stripe.gateway import StripeGateway
        from shared.payouts.errors import PayoutsNotOffered

        settings = self.settings
        if settings.stripe_api_key is None or settings.stripe_connect_webhook_secret is None:
            raise PayoutsNotOffered
        return StripeGateway(settings.stripe_api_key, settings.stripe_base_url)

    @property
    def _waits(self) -> "Waits":
        from shared.payouts.rules import Waits

        if self.settings.payout_wait_s is None:
            return Waits()
        wait_ms = int(self.settings.payout_wait_s) * 1000
        return Waits(hold_ms=wait_ms, cooldown_ms=wait_ms)
