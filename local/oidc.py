"""Stands in for Google as the issuer of service tokens: real RS256 signatures over a key made for one local stack."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import google.auth.crypt
import google.auth.jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://credence.local"
BACKEND = "backend@local.iam.gserviceaccount.com"
SCHEDULER = "scheduler@local.iam.gserviceaccount.com"
EVENTARC = "eventarc@local.iam.gserviceaccount.com"
OPERATOR = "operator@local.iam.gserviceaccount.com"
TASKS = "tasks@local.iam.gserviceaccount.com"
CALLERS = (
    f"credit:debit={BACKEND} card:charge={BACKEND} card:validate={BACKEND} timer={SCHEDULER} event={EVENTARC} "
    f"catalog:write={OPERATOR} payment:refund={OPERATOR} payment:review={OPERATOR} finance:read={OPERATOR} "
    f"finance:write={OPERATOR} pool:operate={OPERATOR} payout:review={OPERATOR} account:freeze={OPERATOR} "
    f"task={TASKS}"
)
KEY_ID = "local"
TOKEN_LIFETIME_S = 3600


@dataclass(frozen=True)
class LocalIssuer:
    """A private key and the certificate that the gateway publishes for it."""

    private_key_pem: str
    certificate_pem: str

    @classmethod
    def new(cls) -> "LocalIssuer":
        """Make a fresh key; it lives as long as this object."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "credence local issuer")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(key, hashes.SHA256())
        )
        private_key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(private_key.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())

    def certificates(self) -> str:
        """What Google's certificate endpoint would serve."""
        return json.dumps({KEY_ID: self.certificate_pem})

    def token(self, email: str, *, audience: str = AUDIENCE, lifetime_s: int = TOKEN_LIFETIME_S) -> str:
        """A token as Cloud Run's metadata server would give it to the service account `email`."""
        issued_at_s = int(time.time())
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "sub": email,
            "email": email,
            "email_verified": True,
            "iat": issued_at_s,
            "exp": issued_at_s + lifetime_s,
        }
        signer = google.auth.crypt.RSASigner.from_string(self.private_key_pem, key_id=KEY_ID)
        return bytes(google.auth.jwt.encode(signer, claims)).decode()
