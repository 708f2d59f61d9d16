"""Builds what holds our books against those of payment providers, and what operators see of it."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.payments import PaymentParts

if TYPE_CHECKING:
    from shared.payments.models import RailName
    from shared.payments.reviews import Reviews
    from shared.payments.sweep import Sweep
    from shared.reconciliation.evidence import Evidence
    from shared.reconciliation.finance import Finance
    from shared.reconciliation.healing import Healing
    from shared.reconciliation.houses import HouseDays
    from shared.reconciliation.orders import FirestorePaidOrders
    from shared.reconciliation.payouts import PayoutContents
    from shared.reconciliation.postings import LedgerDays
    from shared.reconciliation.recheck import Recheck
    from shared.reconciliation.service import Reconciliation
    from shared.reconciliation.settlement import DailySettlement
    from shared.reconciliation.statements import Statements
    from shared.reconciliation.store import FirestoreBooks, FirestoreHouseBooks
    from shared.reconciliation.tickets import FirestoreTickets, TicketDesk
    from shared.reconciliation.transfers import FirestoreEarnerPayouts


class ReconciliationParts(PaymentParts):
    """Settlement, reconciliation, reports, reviews."""

    @cached_property
    def statements(self) -> "Mapping[RailName, Statements]":
        """The books of the rails that we are let into, each built when it is read. One without its key is left out,
        and no error."""
        from shared.base.lazily import BuiltLazily
        from shared.payments.models import RailName

        settings = self.settings
        needed: dict[RailName, tuple[object, ...]] = {
            RailName.STRIPE: (settings.stripe_api_key,),
            RailName.RAZORPAY: (settings.razorpay_key_id, settings.razorpay_key_secret),
            RailName.PAYPAL: (settings.paypal_client_id, settings.paypal_client_secret),
            RailName.CRYPTO: (settings.crypto_rpc_url, settings.crypto_receiver),
        }
        names = [name for name, values in needed.items() if all(value is not None for value in values)]
        return BuiltLazily(names, self._statements_of)

    def _statements_of(self, name: "RailName") -> "Statements":
        from shared.payments.errors import RailNotOffered
        from shared.payments.models import RailName

        if name is RailName.STRIPE and self.stripe_api is not None:
            from shared.reconciliation.stripe import StripeStatements

            return StripeStatements(self.stripe_api)
        if name is RailName.RAZORPAY and self.razorpay_api is not None:
            from shared.reconciliation.razorpay import RazorpayStatements

            return RazorpayStatements(self.razorpay_api)
        if name is RailName.PAYPAL and self.paypal_api is not None:
            from shared.reconciliation.paypal import PayPalStatements

            return PayPalStatements(self.paypal_api)
        if name is RailName.CRYPTO:
            from shared.reconciliation.chain import ChainStatements

            return ChainStatements(self.chain_node, self.chain_token)
        raise RailNotOffered

    @cached_property
    def statement_books(self) -> "FirestoreBooks":
        from shared.reconciliation.store import FirestoreBooks

        return FirestoreBooks(self.firestore)

    @cached_property
    def daily_settlement(self) -> "DailySettlement":
        from shared.reconciliation.settlement import DailySettlement

        return DailySettlement(self.statements, self.statement_books, self.clock)

    @cached_property
    def tickets(self) -> "FirestoreTickets":
        from shared.reconciliation.tickets import FirestoreTickets

        return FirestoreTickets(self.firestore)

    @cached_property
    def ticket_desk(self) -> "TicketDesk":
        from shared.reconciliation.tickets import TicketDesk

        return TicketDesk(self.tickets, self.clock)

    @cached_property
    def reconciliation(self) -> "Reconciliation":
        from shared.reconciliation.service import Reconciliation

        return Reconciliation(
            statements=self.statements,
            books=self.statement_books,
            tickets=self.tickets,
            orders=self._paid_orders,
            evidence=self._evidence,
            contents=self._payout_contents,
            recheck=self._recheck,
            healing=self._healing,
            ledger_days=self._ledger_days,
            clock=self.clock,
        )

    @cached_property
    def house_books(self) -> "FirestoreHouseBooks":
        from shared.reconciliation.store import FirestoreHouseBooks

        return FirestoreHouseBooks(self.firestore)

    @cached_property
    def finance(self) -> "Finance":
        from shared.ledger.windows import FirestoreLedgerWindows
        from shared.reconciliation.finance import Finance
        from shared.reconciliation.sums import FirestoreDeferredHeads, LedgerSums

        sums = LedgerSums(FirestoreLedgerWindows(self.firestore), FirestoreDeferredHeads(self.firestore))
        return Finance(self.statement_books, self.house_books, sums)

    @cached_property
    def reviews(self) -> "Reviews":
        from shared.payments.reviews import Reviews

        return Reviews(self.review_store, self.holds, self.tasks, self.clock)

    @cached_property
    def payment_sweep(self) -> "Sweep":
        from shared.payments.sweep import Sweep
        from shared.payments.waiting import FirestoreWaitingEvents

        return Sweep(FirestoreWaitingEvents(self.firestore), self.payment_store, self.tasks, self.clock)

    @cached_property
    def _paid_orders(self) -> "FirestorePaidOrders":
        from shared.reconciliation.orders import FirestorePaidOrders

        return FirestorePaidOrders(self.firestore)

    @cached_property
    def _earner_payouts(self) -> "FirestoreEarnerPayouts":
        from shared.reconciliation.transfers import FirestoreEarnerPayouts

        return FirestoreEarnerPayouts(self.firestore)

    @cached_property
    def _evidence(self) -> "Evidence":
        from shared.reconciliation.evidence import Evidence

        return Evidence(self.statement_books, self._paid_orders, self._earner_payouts, self.ledger_store)

    @cached_property
    def _payout_contents(self) -> "PayoutContents":
        from shared.reconciliation.payouts import PayoutContents

        return PayoutContents(self.statements, self.statement_books)

    @cached_property
    def _healing(self) -> "Healing":
        from shared.reconciliation.healing import Healing

        return Healing(self.statements, self.tasks, self.clock)

    @cached_property
    def _recheck(self) -> "Recheck":
        from shared.reconciliation.recheck import Recheck

        return Recheck(self.statements, self.tickets, self._evidence, self._payout_contents, self._healing, self.clock)

    @cached_property
    def house_days(self) -> "HouseDays":
        from shared.ledger.archive import FirestoreLedgerArchive
        from shared.reconciliation.houses import HouseDays
        from shared.reconciliation.sums import FirestoreDeferredHeads

        heads = FirestoreDeferredHeads(self.firestore)
        return HouseDays(FirestoreLedgerArchive(self.firestore), heads, self.house_books)

    @cached_property
    def _ledger_days(self) -> "LedgerDays":
        from shared.ledger.sales import FirestoreSales
        from shared.ledger.windows import FirestoreLedgerWindows
        from shared.reconciliation.postings import LedgerDays

        windows, sales = FirestoreLedgerWindows(self.firestore), FirestoreSales(self.firestore)
        return LedgerDays(windows, sales, self.house_days, self._evidence)
