"""Builds what sells credits. A rail is there when its secrets are: without them it has no checkout and no webhook."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.chain import ChainParts

if TYPE_CHECKING:
    from shared.payments.applier import Applier
    from shared.payments.confirmations import Confirmations
    from shared.payments.crypto.claims import Claims
    from shared.payments.crypto.topups import TopUps
    from shared.payments.held import HeldOrders
    from shared.payments.holds import Holds
    from shared.payments.inbox import Inbox
    from shared.payments.models import RailName
    from shared.payments.paypal.certificates import SigningCertificates
    from shared.payments.paypal.gateway import PayPalGateway
    from shared.payments.posting import PaymentPosting
    from shared.payments.rails import EventReader, Rail
    from shared.payments.razorpay.gateway import RazorpayGateway
    from shared.payments.reader import OrderReader
    from shared.payments.refunds import Refunds
    from shared.payments.service import Orders
    from shared.payments.store import FirestorePayments
    from shared.payments.stripe.gateway import StripeGateway
    from shared.payments.waiting import FirestoreReviews


class PaymentParts(ChainParts):
    """Orders, rails, webhooks, refunds."""

    @cached_property
    def rail_names(self) -> "tuple[RailName, ...]":
        """The rails that this deployment has all it needs for."""
        from shared.payments.models import RailName

        settings = self.settings
        chain = (settings.crypto_rpc_url, settings.crypto_receiver)
        needed: dict[RailName, tuple[object, ...]] = {
            RailName.STRIPE: (settings.stripe_api_key, settings.stripe_webhook_secret, settings.checkout_return_url),
            RailName.PAYPAL: (
                settings.paypal_client_id,
                settings.paypal_client_secret,
                settings.paypal_merchant_id,
                # None for a placeholder too.
                self._paypal_webhook_id,
                settings.checkout_return_url,
            ),
            RailName.RAZORPAY: (
                settings.razorpay_key_id,
                settings.razorpay_key_secret,
                settings.razorpay_webhook_secret,
            ),
            RailName.CRYPTO: chain,
            RailName.X402: (*chain, settings.crypto_facilitator_url),
        }
        return tuple(name for name, values in needed.items() if all(value is not None for value in values))

    @cached_property
    def rails(self) -> "Mapping[RailName, Rail]":
        """Each loads its own libraries, and the HTTP client, when it is first asked."""
        from shared.base.lazily import BuiltLazily

        return BuiltLazily(self.rail_names, self._rail)

    def inbox(self, name: "RailName") -> "Inbox":
        """Where the rail's events arrive. Raise RailNotOffered where no secret proves them."""
        from shared.payments.inbox import Inbox

        return Inbox(self._event_reader(name), self.tasks, self.clock)

    @cached_property
    def payment_store(self) -> "FirestorePayments":
        from shared.payments.store import FirestorePayments

        return FirestorePayments(self.firestore)

    @cached_property
    def orders(self) -> "Orders":
        from shared.payments.service import Orders

        return Orders(self.ledger, self.payment_store, self.rails, self.risk, self.tasks, self.clock)

    @cached_property
    def order_reader(self) -> "OrderReader":
        from shared.payments.reader import OrderReader

        return OrderReader(self.payment_store)

    @cached_property
    def payment_posting(self) -> "PaymentPosting":
        from shared.payments.posting import PaymentPosting

        return PaymentPosting(self.ledger, self.reversals, self.funds)

    @cached_property
    def applier(self) -> "Applier":
        from shared.payments.applier import Applier

        return Applier(self.payment_store, self.rails, self.payment_posting, self.risk, self.clock)

    @cached_property
    def confirmations(self) -> "Confirmations":
        """Of Razorpay, the only rail that hands a proof to the browser. Raise RailNotOffered where it is not on."""
        from shared.payments.confirmations import Confirmations
        from shared.payments.errors import RailNotOffered
        from shared.payments.models import RailName
        from shared.payments.razorpay.confirmation import RazorpayConfirmation

        if RailName.RAZORPAY not in self.rail_names or self.settings.razorpay_key_secret is None:
            raise RailNotOffered
        reader = RazorpayConfirmation(self.settings.razorpay_key_secret)
        return Confirmations(self.payment_store, reader, self.applier)

    @cached_property
    def claims(self) -> "Claims":
        """Raise RailNotOffered where nothing is sold on the chain."""
        from shared.payments.crypto.claims import Claims

        return Claims(self.payment_store, self.crypto_rail, self.applier, self.tasks, self.clock)

    @cached_property
    def topups(self) -> "TopUps":
        """Raise RailNotOffered where nobody carries out what is signed."""
        from shared.payments.crypto.topups import TopUps

        return TopUps(self.orders, self.payment_store, self.x402_rail, self.applier, self.tasks, self.clock)

    @cached_property
    def refunds(self) -> "Refunds":
        from shared.payments.refunds import Refunds

        return Refunds(
            self.ledger,
            self.payment_store,
            self.rails,
            self.payment_posting,
            self.applier,
            self.risk,
            self.tasks,
            self.clock,
        )

    @cached_property
    def held_orders(self) -> "HeldOrders":
        from shared.payments.held import HeldOrders

        return HeldOrders(self.payment_store, self.holds, self.review_store, self.applier, self.clock)

    @cached_property
    def holds(self) -> "Holds":
        from shared.payments.holds import Holds

        return Holds(self.payment_store, self.risk)

    @cached_property
    def review_store(self) -> "FirestoreReviews":
        from shared.payments.waiting import FirestoreReviews

        return FirestoreReviews(self.firestore)

    @cached_property
    def stripe_api(self) -> "StripeGateway | None":
        """None where nothing lets us ask; the same holds for those below."""
        from shared.payments.stripe.gateway import StripeGateway

        key = self.settings.stripe_api_key
        return StripeGateway(key, self.settings.stripe_base_url) if key is not None else None

    @cached_property
    def razorpay_api(self) -> "RazorpayGateway | None":
        from shared.payments.razorpay.gateway import RazorpayGateway

        key_id, secret = self.settings.razorpay_key_id, self.settings.razorpay_key_secret
        if key_id is None or secret is None:
            return None
        return RazorpayGateway(key_id, secret, self.settings.razorpay_base_url)

    @cached_property
    def paypal_api(self) -> "PayPalGateway | None":
        from shared.payments.paypal.gateway import PayPalGateway

        client_id, secret = self.settings.paypal_client_id, self.settings.paypal_client_secret
        if client_id is None or secret is None:
            return None
        return PayPalGateway(client_id, secret, self.settings.paypal_base_url, self.clock)

    def _rail(self, name: "RailName") -> "Rail":
        from shared.payments.errors import RailNotOffered
        from shared.payments.models import RailName

        match name:
            case RailName.STRIPE:
                from shared.payments.stripe.rail import StripeRail

                if self.stripe_api is None or self.settings.checkout_return_url is None:
                    raise RailNotOffered
                return StripeRail(self.stripe_api, self.settings.checkout_return_url, self.settings.money)
            case RailName.PAYPAL:
                from shared.payments.paypal.rail import PayPalRail

                api, settings = self.paypal_api, self.settings
                if api is None or settings.paypal_merchant_id is None or settings.checkout_return_url is None:
                    raise RailNotOffered
                return PayPalRail(api, settings.paypal_merchant_id, settings.checkout_return_url, self.clock)
            case RailName.RAZORPAY:
                return self._razorpay_rail()
            case RailName.CRYPTO:
                return self.crypto_rail
            case RailName.X402:
                return self.x402_rail

    def _razorpay_rail(self) -> "Rail":
        from shared.payments.errors import RailNotOffered
        from shared.payments.razorpay.rail import RazorpayRail

        api, key_id = self.razorpay_api, self.settings.razorpay_key_id
        if api is None or key_id is None:
            raise RailNotOffered
        return RazorpayRail(api, key_id, self.clock)

    def _event_reader(self, name: "RailName") -> "EventReader":
        from shared.payments.errors import RailNotOffered
        from shared.payments.models import RailName

        match name:
            case RailName.STRIPE:
                from shared.payments.stripe.events import StripeEvents

                if self.settings.stripe_webhook_secret is None:
                    raise RailNotOffered
                return StripeEvents(self.settings.stripe_webhook_secret, self.settings.money)
            case RailName.RAZORPAY:
                from shared.payments.razorpay.events import RazorpayEvents

                if self.settings.razorpay_webhook_secret is None:
                    raise RailNotOffered
                return RazorpayEvents(self.settings.razorpay_webhook_secret)
            case RailName.PAYPAL:
                from shared.payments.paypal.events import PayPalEvents

                if self._paypal_webhook_id is None:
                    raise RailNotOffered
                return PayPalEvents(self._paypal_webhook_id, self._paypal_certificates)
            case RailName.CRYPTO | RailName.X402:
                # A chain sends events to nobody.
                raise RailNotOffered

    @property
    def _paypal_webhook_id(self) -> str | None:
        from shared.base.webhook_ids import parse_webhook_ids

        return self.settings.paypal_webhook_id if parse_webhook_ids(self.settings.paypal_webhook_id) else None

    @cached_property
    def _paypal_certificates(self) -> "SigningCertificates":
        from shared.payments.paypal.certificates import (
            SANDBOX,
            SigningCertificates,
            certificates_in,
            published,
            realm_of,
        )

        settings = self.settings
        if settings.paypal_certificates_file is not None:
            return SigningCertificates(certificates_in(settings.paypal_certificates_file), SANDBOX, self.clock)
        return SigningCertificates(published(), realm_of(settings.paypal_base_url), self.clock)
