"""What a deployment configures, read once from the environment and checked before anything is built.

Read by our own few lines and not pydantic-settings, which would add a tenth of a second to every cold start.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from msgspec import Meta, Struct

from shared.base.ad_units import parse_ad_units
from shared.base.body import LAST, Misshapen, shape
from shared.base.callers import parse_callers
from shared.base.endpoints import parse_endpoints
from shared.base.payment_mode import PaymentMode, chain_mode, paypal_mode, razorpay_mode, stripe_mode
from shared.base.secret import Secret
from shared.base.signing_secrets import parse_signing_secrets
from shared.base.webhook_ids import parse_webhook_ids

GOOGLE_IDENTITY_CERTS_URL = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
GOOGLE_OIDC_CERTS_URL = "https://www.googleapis.com/oauth2/v1/certs"
GOOGLE_AD_KEYS_URL = "https://www.gstatic.com/admob/reward/verifier-keys.json"
"""What callbacks of rewarded ads are signed with: https://developers.google.com/admob/android/ssv"""

RISK_KEY_CHARS_MIN = 32
"""Addresses and telephone numbers can be guessed through, so their hashes are worth no more than the key."""


USDC_ON_BASE = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
"""https://developers.circle.com/stablecoins/usdc-contract-addresses"""


class Environment(StrEnum):
    """Where this process runs. Production is the default, so that forgetting to say so is safe."""

    LOCAL = "local"
    PRODUCTION = "production"


class SettingsWrong(Exception):
    """The environment cannot be used as it is; the process must not start."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every knob. The environment variable is the field's name in capitals."""

    environment: Environment = Environment.PRODUCTION
    project_id: Annotated[str, Meta(min_length=1)]
    firestore_emulator_host: str | None = None
    firebase_auth_emulator_host: str | None = None
    identity_certs_url: str = GOOGLE_IDENTITY_CERTS_URL
    oidc_certs_url: str = GOOGLE_OIDC_CERTS_URL
    service_audience: str | None = None
    """The `aud` that service tokens must carry; no audience configured means no service is let in."""
    service_callers: str = ""
    """Who may do what: `scope=email[,email] scope=email ...`."""
    tasks_location: Annotated[str, Meta(pattern=rf"^[a-z]+-[a-z]+[0-9]+{LAST}")] | None = None
    """The region whose Cloud Tasks queues are posted to."""
    task_url: str | None = None
    """Where tasks are delivered, with `{function}` for a function's name or `{service}` for that of its service."""
    task_service_account: str | None = None
    """Whose token a task carries to its function; it needs the scope `task`."""
    cloud_tasks_emulator_host: str | None = None
    checkpoint_kms_key: str | None = None
    """Full name of the key version in Cloud KMS that signs checkpoints."""
    checkpoint_verifier_key: str | None = None
    """Its public half under the log's name, as everybody who verifies has it: `name+id+key`."""
    checkpoint_bucket: str | None = None
    """The bucket, under a locked retention policy, that keeps signed checkpoints."""
    checkpoint_origin: str | None = None
    """For development: the log's name, with the key file and the folder that stand for Cloud KMS and the bucket."""
    checkpoint_key_file: str | None = None
    checkpoint_folder: str | None = None
    vault_kms_key: (
        Annotated[str, Meta(pattern=rf"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+{LAST}")] | None
    ) = None
    """Full name of the key in Cloud KMS that wraps what contributed keys are encrypted with."""
    vault_key_file: str | None = None
    """For development: the file of key-encryption keys that stands for it; it is made when it is not there."""
    vault_fingerprint_key: Secret | None = None
    """What fingerprints of contributed keys are made with: 32 characters or more. With another one, a key that is
    deposited a second time is not found out."""
    lent_providers: str = ""
    """Names of providers, with commas between, that are asked with contributed keys and with no other."""
    ad_units: str = ""
    """Which rewarded ads are paid for: `tier=unit[,unit] tier=unit ...`; without any there are no ads."""
    ad_keys_file: str | None = None
    """For development: the file of public keys that stands for the one that Google publishes."""
    standin_url: str | None = None
    """Base URL of the local model stand-in; it answers for every model that has no better route."""
    standin_disconnect: Literal["drain", "estimate", "free"] = "estimate"
    """What the stand-in's stream costs when its client leaves; tests try all three."""
    answers_shared: Literal["yes", "no"] = "no"
    """Whether an answer kept for one account may be told to others who ask word for word the same."""
    anthropic_api_key: Secret | None = None
    anthropic_base_url: str = "https://api.anthropic.com/v1"
    cloudflare_api_key: Secret | None = None
    cloudflare_base_url: str = "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1"
    cloudflare_account_id: Annotated[str, Meta(pattern=rf"^[0-9a-zA-Z]{{1,64}}{LAST}")] | None = None
    """Whose Workers AI it is; stands in the address."""
    deepseek_api_key: Secret | None = None
    deepseek_base_url: str = "https://api.deepseek.com/v1"
    google_api_key: Secret | None = None
    google_base_url: str = "https://generativelanguage.googleapis.com/v1beta"
    huggingface_api_key: Secret | None = None
    huggingface_base_url: str = "https://router.huggingface.co/v1"
    mistral_api_key: Secret | None = None
    mistral_base_url: str = "https://api.mistral.ai/v1"
    openai_api_key: Secret | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openrouter_api_key: Secret | None = None
    openrouter_base_url: str = "https://openrouter.ai/api/v1"
    payment_mode: PaymentMode | None = None
    """`test` for a deployment that sells for test money; without it production is live, and a local one is not. Keys
    and addresses of the other mode are refused."""
    stripe_api_key: Secret | None = None
    stripe_webhook_secret: Secret | None = None
    """What Stripe signs events with; two with a comma between while one replaces the other. Without it no event comes
    in, so without it nothing is sold either."""
    stripe_connect_webhook_secret: Secret | None = None
    """The same for events about those whom we pay; two with a comma between. Without it nobody is paid out."""
    payout_return_url: str | None = None
    """Where recipients come back to from the pages on which Stripe asks who they are."""
    payout_wait_s: Annotated[str, Meta(pattern=rf"^[0-9]{{1,7}}{LAST}")] | None = None
    """For development: how long earnings and new bank details wait, instead of seven and three days."""
    stripe_base_url: str = "https://api.stripe.com"
    risk_key: Secret | None = None
    """What addresses, devices, cards and people are kept under, instead of by name: 32 characters or more. With another
    key they are all new to us."""
    address_from_end: Literal["1", "2", "3", "4"] = "1"
    """Which address of `X-Forwarded-For` is the client's, from its end: 1 on Cloud Run, 2 behind a load balancer
    of Google's, whose functions must then take nothing past it."""
    job_lease_s: Literal["2", "20", "60"] = "60"
    """How long after a worker died the next one may go on with its job. It is renewed three times as often."""
    paypal_client_id: str | None = None
    paypal_client_secret: Secret | None = None
    paypal_merchant_id: Annotated[str, Meta(pattern=rf"^[2-9A-HJ-NP-Z]{{13}}{LAST}")] | None = None
    """Whose PayPal account buyers pay into. A payment into another one is none."""
    paypal_webhook_id: str | None = None
    """PayPal's id of our webhook, a part of what it signs; two with a comma between while one replaces the other.
    Without it no event comes in, so without it nothing is sold either."""
    paypal_base_url: str = "https://api-m.paypal.com"
    paypal_certificates_file: str | None = None
    """For development: the signer's certificate and the root that vouches for it, for a PayPal that somebody plays."""
    razorpay_key_id: Annotated[str, Meta(pattern=rf"^[0-9a-zA-Z_]{{1,64}}{LAST}")] | None = None
    """The public half of the API key; buyers' browsers see it."""
    razorpay_key_secret: Secret | None = None
    razorpay_webhook_secret: Secret | None = None
    """As Stripe's; without it nothing is sold by Razorpay."""
    razorpay_base_url: str = "https://api.razorpay.com"
    crypto_rpc_url: Secret | None = None
    """A node of the chain on which dollars are taken, over JSON-RPC; a secret, for its path may be a key."""
    crypto_receiver: Annotated[str, Meta(pattern=rf"^0x[0-9a-fA-F]{{40}}{LAST}")] | None = None
    """Our address there. Nothing here has its key. Without node or address nothing is sold on the chain."""
    crypto_chain_id: Annotated[str, Meta(pattern=rf"^[1-9][0-9]{{0,15}}{LAST}")] = "8453"
    """Base, with Circle's own USDC as the token; any other token needs all four."""
    crypto_asset: Annotated[str, Meta(pattern=rf"^0x[0-9a-fA-F]{{40}}{LAST}")] = USDC_ON_BASE
    crypto_token_name: str = "USD Coin"  # noqa: S105 - as its contract says it
    crypto_token_version: str = "2"  # noqa: S105 - the same
    crypto_facilitator_url: Secret | None = None
    """Who carries out what is signed for x402; without it there are no top-ups by x402."""
    tavily_api_key: Secret | None = None
    """Has jobs search the web with Tavily; without it they search the corpus."""
    tavily_base_url: str = "https://api.tavily.com"
    corpus_folder: str = "docs"
    """Where the texts are that jobs search without a search engine; from the deployed folder, if it is not absolute."""
    checkout_return_url: str | None = None
    """Where buyers come back to from a checkout."""
    custom_providers: Secret | None = None
    """Endpoints of one's own (Ollama, llama.cpp, vLLM): see `shared/base/endpoints.py`. A secret, for it has keys."""

    def __post_init__(self) -> None:
        """Raise ValueError, which `from_environment` reports, for settings that cannot go together."""
        parse_callers(self.service_callers)
        parse_ad_units(self.ad_units)
        parse_endpoints(self.custom_providers)
        if self.risk_key is not None and len(self.risk_key.reveal()) < RISK_KEY_CHARS_MIN:
            raise ValueError(f"RISK_KEY must have {RISK_KEY_CHARS_MIN} characters or more")
        if self.vault_fingerprint_key is not None and len(self.vault_fingerprint_key.reveal()) < RISK_KEY_CHARS_MIN:
            raise ValueError(f"VAULT_FINGERPRINT_KEY must have {RISK_KEY_CHARS_MIN} characters or more")
        parse_webhook_ids(self.paypal_webhook_id)
        parse_signing_secrets(self.stripe_webhook_secret, "STRIPE_WEBHOOK_SECRET")
        parse_signing_secrets(self.stripe_connect_webhook_secret, "STRIPE_CONNECT_WEBHOOK_SECRET")
        parse_signing_secrets(self.razorpay_webhook_secret, "RAZORPAY_WEBHOOK_SECRET")
        _refuse_other_mode(self)
        if self.environment is Environment.PRODUCTION:
            _refuse_emulators(self)
            _require_https(self)
            _require_public_nodes(self)

    @property
    def money(self) -> PaymentMode:
        """Which money everything here is about."""
        if self.payment_mode is not None:
            return self.payment_mode
        return PaymentMode.TEST if self.environment is Environment.LOCAL else PaymentMode.LIVE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raise SettingsWrong, naming the variable and no value, when the environment cannot be used."""
        named: dict[str, object] = {
            name: environment[name.upper()] for name in cls.__struct_fields__ if environment.get(name.upper())
        }
        named.setdefault("project_id", environment.get("GOOGLE_CLOUD_PROJECT", ""))
        try:
            return shape(cls, named)
        except Misshapen as fault:
            raise SettingsWrong(f"{fault.place.upper() or 'settings'}: {fault.reason}") from None


def _refuse_emulators(settings: Settings) -> None:
    """An emulator accepts unsigned tokens: in production that would let anyone be anyone.

    And a key in a file can be copied, a folder be emptied; who writes the file of ad keys makes credits, and who writes
    that of certificates makes events. A payout that waits for seconds leaves before anybody finds out.
    """
    local_only = {
        "FIRESTORE_EMULATOR_HOST": settings.firestore_emulator_host,
        "FIREBASE_AUTH_EMULATOR_HOST": settings.firebase_auth_emulator_host,
        "CLOUD_TASKS_EMULATOR_HOST": settings.cloud_tasks_emulator_host,
        "STANDIN_URL": settings.standin_url,
        "AD_KEYS_FILE": settings.ad_keys_file,
        "PAYPAL_CERTIFICATES_FILE": settings.paypal_certificates_file,
        "PAYOUT_WAIT_S": settings.payout_wait_s,
        "CHECKPOINT_KEY_FILE": settings.checkpoint_key_file,
        "CHECKPOINT_FOLDER": settings.checkpoint_folder,
        "VAULT_KEY_FILE": settings.vault_key_file,
        "IDENTITY_CERTS_URL": settings.identity_certs_url != GOOGLE_IDENTITY_CERTS_URL,
        "OIDC_CERTS_URL": settings.oidc_certs_url != GOOGLE_OIDC_CERTS_URL,
    }
    if found := sorted(name for name, value in local_only.items() if value):
        raise ValueError(f"{', '.join(found)} must not be set in production (set ENVIRONMENT=local to develop)")


def _refuse_other_mode(settings: Settings) -> None:
    """Credits for test cards are credits for nothing, and whoever tries something out must not move money."""
    modes: dict[str, PaymentMode | None] = {}
    if settings.stripe_api_key is not None:
        modes["STRIPE_API_KEY"] = stripe_mode(settings.stripe_api_key.reveal())
    if settings.razorpay_key_id is not None:
        modes["RAZORPAY_KEY_ID"] = razorpay_mode(settings.razorpay_key_id)
    # A stand-in on this machine vouches for itself.
    if settings.paypal_client_id is not None and settings.paypal_certificates_file is None:
        modes["PAYPAL_BASE_URL"] = paypal_mode(settings.paypal_base_url)
    # A developer may look at any chain: they pay with dollars of their own.
    if settings.crypto_rpc_url is not None and settings.environment is Environment.PRODUCTION:
        modes["CRYPTO_CHAIN_ID"] = chain_mode(settings.crypto_chain_id)
    if found := sorted(name for name, mode in modes.items() if mode is not settings.money):
        raise ValueError(f"{', '.join(found)} must be for {settings.money} payments (PAYMENT_MODE)")


def _require_https(settings: Settings) -> None:
    """A provider's key is sent to its address, and a service's token to a function: never where the network could read
    it.
    """
    named = [name for name in settings.__struct_fields__ if name.endswith("_base_url")]
    addresses = {name.upper(): getattr(settings, name) for name in named}
    if settings.task_url is not None:
        addresses["TASK_URL"] = settings.task_url
    if any(not endpoint.is_https for endpoint in parse_endpoints(settings.custom_providers)):
        addresses["CUSTOM_PROVIDERS"] = ""
    if found := sorted(name for name, address in addresses.items() if not address.startswith("https://")):
        raise ValueError(f"{', '.join(found)} must begin with https:// in production")


def _require_public_nodes(settings: Settings) -> None:
    """Whoever could change what a node answers, on its way or instead of it, would grant themselves credits."""
    for name in ("crypto_rpc_url", "crypto_facilitator_url"):
        if (address := getattr(settings, name)) is None:
            continue
        # Loaded where there is something to check.
        from shared.base.egress import AddressRefused, checked_host

        try:
            checked_host(address.reveal())
        except AddressRefused as refusal:
            raise ValueError(f"{name.upper()}: {refusal.message}") from None
