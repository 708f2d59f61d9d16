"""The least that a webhook can be: Stripe's own check of the signature, and an answer. For bench/webhook.py."""

import os

import functions_framework.aio
import stripe
from starlette.requests import Request

SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]


@functions_framework.aio.http
async def bare_webhook(request: Request) -> str:
    """Check, and keep nothing."""
    stripe.Webhook.construct_event(await request.body(), request.headers["stripe-signature"], SECRET)  # type: ignore[no-untyped-call]
    return ""
