"""What Razorpay's checkout hands to the buyer's browser: a payment, and a signature that it pays one order.

https://razorpay.com/docs/payments/server-integration/python/integration-steps#verify-payment-signature
"""

import hashlib
import hmac
import re

from shared.base.secret import Secret
from shared.payments.errors import ConfirmationRefused
from shared.payments.models import Order, RailName, Subject

_PAYMENT = re.compile(r"pay_[A-Za-z0-9]{1,40}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


class RazorpayConfirmation:
    """Proves confirmations with the secret half of the API key."""

    rail = RailName.RAZORPAY

    def __init__(self, key_secret: Secret) -> None:
        """Raise ValueError for an empty secret, by which everybody could sign."""
        if not key_secret.reveal().strip():
            raise ValueError("RAZORPAY_KEY_SECRET is empty")
        self._key = key_secret.reveal().encode()

    def subject(self, order: Order, payment_id: str, signature: str) -> Subject:
        """The payment, to look at. Raise ConfirmationRefused unless Razorpay signed that it pays this very order.

        The signed reference comes from our record, so a signature for another order is none for this one.
        """
        if order.rail is not self.rail or order.checkout is None:
            raise ConfirmationRefused
        if not _PAYMENT.fullmatch(payment_id) or not _SIGNATURE.fullmatch(signature):
            raise ConfirmationRefused
        signed = f"{order.checkout.reference}|{payment_id}".encode()
        if not hmac.compare_digest(hmac.new(self._key, signed, hashlib.sha256).hexdigest(), signature):
            raise ConfirmationRefused
        return Subject("payment", payment_id)
