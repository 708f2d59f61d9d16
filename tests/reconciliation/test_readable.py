"""Whose books are read: those that settings let us into, and no error for the others."""

import pytest

from shared.app import App
from shared.base.settings import Settings
from shared.payments.models import RailName

KEYS = {
    RailName.STRIPE: {"STRIPE_API_KEY": "sk_test_1"},
    RailName.RAZORPAY: {"RAZORPAY_KEY_ID": "rzp_test_1", "RAZORPAY_KEY_SECRET": "secret"},
    RailName.PAYPAL: {"PAYPAL_CLIENT_ID": "client", "PAYPAL_CLIENT_SECRET": "secret"},
    RailName.CRYPTO: {"CRYPTO_RPC_URL": "http://127.0.0.1:1/rpc", "CRYPTO_RECEIVER": "0x" + "c0" * 20},
}
LOCAL = {"ENVIRONMENT": "local", "PROJECT_ID": "demo-x", "PAYPAL_BASE_URL": "https://api-m.sandbox.paypal.com"}


def app_with(*rails: RailName) -> App:
    given = {name: value for rail in rails for name, value in KEYS[rail].items()}
    return App(Settings.from_environment({**LOCAL, **given}))


@pytest.mark.parametrize("rail", KEYS)
def test_a_rail_is_read_where_its_key_is_and_left_out_where_it_is_not(rail: RailName) -> None:
    assert list(app_with().statements) == []
    app = app_with(rail)

    assert list(app.statements) == [rail]
    assert app.statements[rail].name is rail


@pytest.mark.parametrize("rail", [RailName.RAZORPAY, RailName.PAYPAL, RailName.CRYPTO])
def test_half_a_key_is_none(rail: RailName) -> None:
    for name, value in KEYS[rail].items():
        given = {**LOCAL, name: value}
        assert list(App(Settings.from_environment(given)).statements) == []


def test_all_of_them_together() -> None:
    assert list(app_with(*KEYS).statements) == list(KEYS)
