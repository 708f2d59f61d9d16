"""AdMob's part on this machine: callbacks of rewarded ads with real signatures, by a key made for the occasion."""

import base64
import json
import secrets
import time
from typing import Self
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from shared.base.ad_units import DASHBOARD_AD_UNIT

AD_NETWORK = "5450213213286189855"
"""AdMob's own network, as its callbacks name it."""
UNIT_OF_TIER = {"text": "6125489951", "image": "6125489952", "video": "6125489953"}
AD_UNITS = " ".join(f"{tier}=ca-app-pub-3940256099942544/{unit}" for tier, unit in UNIT_OF_TIER.items())
"""What a local deployment pays for."""


class LocalAdMob(Struct, frozen=True):
    """One key, and what Google would do with it."""

    key: ec.EllipticCurvePrivateKey
    key_id: str

    @classmethod
    def new(cls) -> Self:
        """A key that nobody else has."""
        return cls(ec.generate_private_key(ec.SECP256R1()), str(1 + secrets.randbelow(2**31)))

    def verifier_keys(self) -> str:
        """The JSON file that Google publishes."""
        return json.dumps({"keys": [self.published_key()]})

    def published_key(self) -> dict[str, object]:
        """This key's object in that file."""
        public = self.key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"keyId": int(self.key_id), "pem": pem, "base64": base64.b64encode(der).decode()}

    def callback(self, tier: str, nonce: str, **changed: str | int | None) -> str:
        """A callback's query: an ad of the tier was just watched. `changed` replaces parameters; None drops one."""
        parameters: dict[str, str | int | None] = {
            "ad_network": AD_NETWORK,
            "ad_unit": UNIT_OF_TIER[tier],
            "custom_data": nonce,
            "reward_amount": 1,
            "reward_item": "Credits for an ad",
            "timestamp": time.time_ns() // 1_000_000,
            "transaction_id": secrets.token_hex(16),
            **changed,
        }
        sent = {name: quote(str(value), safe="") for name, value in sorted(parameters.items()) if value is not None}
        said = {name: str(value) for name, value in sorted(parameters.items()) if value is not None}
        return self.signed(_query(sent), message=_query(said))

    def dashboard_try(self, **changed: str | int | None) -> str:
        """What the dashboard sends when somebody has it try the address: no ad of ours and no nonce."""
        return self.callback(
            "text",
            "",
            **{"ad_unit": DASHBOARD_AD_UNIT, "custom_data": None, "transaction_id": "123456789", **changed},
        )

    def signed(self, query: str, *, message: str) -> str:
        """The query with a signature over the message, which is the query percent-decoded."""
        signature = base64.urlsafe_b64encode(self.key.sign(message.encode(), ec.ECDSA(SHA256()))).decode().rstrip("=")
        return f"{query}&signature={signature}&key_id={self.key_id}"


def _query(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in parameters.items())
