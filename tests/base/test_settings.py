"""Settings: what a deployment wrote down is checked before anything is built, and told by name only."""

import pytest

from shared.base.payment_mode import PaymentMode
from shared.base.settings import Settings, SettingsWrong
from shared.parts.base import Parts

PRODUCTION = {"PROJECT_ID": "credence-production"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVICE_CALLERS", "credit:debit"),
        ("SERVICE_CALLERS", "timer=nobody"),
        ("HUGGINGFACE_BASE_URL", "http://router.example.com/v1"),
        ("OPENROUTER_BASE_URL", "ftp://example.com"),
        ("ANTHROPIC_BASE_URL", "http://api.example.com"),
        ("CLOUDFLARE_ACCOUNT_ID", "../../user/tokens"),
        ("CUSTOM_PROVIDERS", "[{"),
        ("CUSTOM_PROVIDERS", "{}"),
        ("CUSTOM_PROVIDERS", '[{"name": "ollama"}]'),
        ("CUSTOM_PROVIDERS", '[{"name": "Ollama!", "base_url": "https://example.com"}]'),
        ("CUSTOM_PROVIDERS", '[{"name": "a", "base_url": "https://a.io"}, {"name": "a", "base_url": "https://b.io"}]'),
        ("CUSTOM_PROVIDERS", '[{"name": "ollama", "base_url": "http://example.com/v1"}]'),
        ("CUSTOM_PROVIDERS", '[{"name": "ollama", "base_url": "file:///etc/passwd"}]'),
        ("CRYPTO_RECEIVER", "0xc0de"),
        ("CRYPTO_CHAIN_ID", "base"),
        ("CRYPTO_ASSET", "usdc"),
        ("CRYPTO_RPC_URL", "http://node.example.com/key"),
        ("CRYPTO_RPC_URL", "https://127.0.0.1/key"),
        ("CRYPTO_FACILITATOR_URL", "ftp://facilitator.example.com"),
        ("AD_UNITS", "text"),
        ("AD_UNITS", "gold=1"),
        ("AD_UNITS", "text=1 image=ca-app-pub-2/1"),
        ("AD_UNITS", "text=1234567890"),
        ("AD_UNITS", "text=pub/1"),
        ("AD_KEYS_FILE", "keys.json"),
        ("PAYPAL_CERTIFICATES_FILE", "certificates.pem"),
        ("PAYOUT_WAIT_S", "1"),
        ("PAYPAL_BASE_URL", "http://api-m.paypal.com"),
        ("PAYPAL_MERCHANT_ID", "merchant@example.com"),
        ("PAYPAL_WEBHOOK_ID", "one,two,three"),
        ("PAYPAL_WEBHOOK_ID", "YOUR_WEBHOOK_ID"),
        ("ENVIRONMENT", "prod"),
        ("STANDIN_DISCONNECT", "never"),
    ],
)
def test_what_cannot_be_used_stops_the_process(name: str, value: str) -> None:
    with pytest.raises(SettingsWrong, match=name) as refusal:
        Settings.from_environment({**PRODUCTION, name: value})

    assert value not in str(refusal.value)


def test_an_address_without_tls_is_for_local_processes() -> None:
    """Tests and self-hosted models on the same machine."""
    local = {"ENVIRONMENT": "local", "OPENROUTER_BASE_URL": "http://127.0.0.1:9/v1", **PRODUCTION}

    assert Settings.from_environment(local).openrouter_base_url == "http://127.0.0.1:9/v1"


def test_a_key_that_could_be_guessed_is_refused_at_the_start() -> None:
    """What it hides, addresses and numbers of telephones, can be guessed through."""
    with pytest.raises(SettingsWrong, match="RISK_KEY"):
        Settings.from_environment({"PROJECT_ID": "p", "RISK_KEY": "short"})


def test_without_a_key_nobody_is_counted_in_production() -> None:
    """One that everybody can read in this repository would hide nothing."""
    with pytest.raises(SettingsWrong, match="RISK_KEY"):
        _ = Parts(Settings.from_environment({"PROJECT_ID": "p"})).risk


STRIPE_KEYS = {"live": ("sk_live_1", "rk_live_1"), "test": ("sk_test_1", "rk_test_1")}
OTHER_MODE = [
    *(("live", "STRIPE_API_KEY", key) for key in (*STRIPE_KEYS["test"], "sk_1", "pk_live_1", "live")),
    *(("test", "STRIPE_API_KEY", key) for key in (*STRIPE_KEYS["live"], "sk_1")),
    ("live", "RAZORPAY_KEY_ID", "rzp_test_1"),
    ("test", "RAZORPAY_KEY_ID", "rzp_live_1"),
    ("live", "PAYPAL_BASE_URL", "https://api-m.sandbox.paypal.com"),
    ("test", "PAYPAL_BASE_URL", "https://api-m.paypal.com"),
    ("live", "CRYPTO_CHAIN_ID", "84532"),
    ("test", "CRYPTO_CHAIN_ID", "8453"),
]


@pytest.mark.parametrize(("mode", "name", "value"), OTHER_MODE)
def test_a_key_or_an_address_of_the_other_mode_stops_the_process(mode: str, name: str, value: str) -> None:
    """Test cards are free, and credits must not be."""
    with pytest.raises(SettingsWrong, match=f"{name} must be for {mode} payments"):
        Settings.from_environment({**PRODUCTION, "PAYMENT_MODE": mode, **_fitting(mode), name: value})


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_deployment_may_say_that_it_sells_for_test_money(mode: str) -> None:
    """A staging deployment runs as production does, on keys that move no money."""
    for key in STRIPE_KEYS[mode]:
        settings = Settings.from_environment(
            {**PRODUCTION, "PAYMENT_MODE": mode, **_fitting(mode), "STRIPE_API_KEY": key}
        )
        assert settings.money == mode


def test_without_a_word_production_is_live_and_a_process_on_ones_own_machine_is_not() -> None:
    local = {**PRODUCTION, "ENVIRONMENT": "local"}

    assert Settings.from_environment(PRODUCTION).money is PaymentMode.LIVE
    with pytest.raises(SettingsWrong, match="STRIPE_API_KEY"):
        Settings.from_environment({**PRODUCTION, "STRIPE_API_KEY": "sk_test_1"})
    assert Settings.from_environment({**local, "STRIPE_API_KEY": "sk_test_1"}).money is PaymentMode.TEST
    with pytest.raises(SettingsWrong, match="STRIPE_API_KEY"):
        Settings.from_environment({**local, "STRIPE_API_KEY": "sk_live_1"})


def _fitting(mode: str) -> dict[str, str]:
    """All that says which mode it is for, saying this one."""
    sandbox = "" if mode == "live" else "sandbox."
    return {
        "CRYPTO_RPC_URL": "https://node.example.com/key",
        "STRIPE_API_KEY": f"sk_{mode}_1",
        "RAZORPAY_KEY_ID": f"rzp_{mode}_1",
        "PAYPAL_CLIENT_ID": "client",
        "PAYPAL_BASE_URL": f"https://api-m.{sandbox}paypal.com",
        "CRYPTO_CHAIN_ID": "8453" if mode == "live" else "84532",
    }
