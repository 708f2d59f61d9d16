"""Builders of tokens: real RSA keys, self-signed x509 certificates, and every way to sign or not to sign."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

PROJECT = "demo-identity"
AUDIENCE = "https://credence.example"
WORKER = "worker@demo-identity.iam.gserviceaccount.com"
UID = "aliceUid0123456789abcdefghij"
MISSING = object()
"""As the value of a claim or header: leave it out."""


@dataclass(frozen=True)
class Key:
    """A signing key and the certificate that a server publishes for it."""

    kid: str
    private: RSAPrivateKey
    certificate: str


@cache
def key_of(kid: str) -> Key:
    """The key of that id, made once per test run."""
    private = generate_rsa_key(public_exponent=65537, key_size=2048)
    return Key(kid, private, _certificate_of(private))


@cache
def elliptic_certificate() -> str:
    """A certificate that no RS256 signature can be verified with."""
    return _certificate_of(generate_private_key(SECP256R1()))


def user_claims(now_s: int, **changes: Any) -> dict[str, Any]:
    """Claims of a good Firebase ID token, ten minutes old, with `changes`."""
    claims = {
        "iss": f"https://securetoken.google.com/{PROJECT}",
        "aud": PROJECT,
        "auth_time": now_s - 1200,
        "user_id": UID,
        "sub": UID,
        "iat": now_s - 600,
        "exp": now_s + 3000,
        "email": "alice@example.com",
        "email_verified": True,
        "firebase": {"identities": {"email": ["alice@example.com"]}, "sign_in_provider": "password"},
    }
    return _changed(claims, changes)


def service_claims(now_s: int, **changes: Any) -> dict[str, Any]:
    """Claims of a good Google OIDC token of our worker, with `changes`."""
    claims = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "azp": "1234567890",
        "sub": "1234567890",
        "email": WORKER,
        "email_verified": True,
        "iat": now_s - 600,
        "exp": now_s + 3000,
    }
    return _changed(claims, changes)


def sign(claims: object, key: Key, *, charset: str = "utf-8", **header: Any) -> str:
    """Sign with RS256, as Google does; `header` changes the header and nothing else."""
    signed = _signing_input(_changed({"alg": "RS256", "kid": key.kid, "typ": "JWT"}, header), claims, charset)
    return f"{signed}.{encode(key.private.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def leave_unsigned(claims: object, **header: Any) -> str:
    """As the Auth emulator makes them."""
    return f"{_signing_input(_changed({'alg': 'none', 'typ': 'JWT'}, header), claims)}."


def sign_with_public_key(claims: object, key: Key) -> str:
    """The classic forgery: HS256 with the public certificate as its secret."""
    signed = _signing_input({"alg": "HS256", "kid": key.kid, "typ": "JWT"}, claims)
    return f"{signed}.{encode(hmac.new(key.certificate.encode(), signed.encode(), hashlib.sha256).digest())}"


def replace_claims(token: str, claims: object) -> str:
    """Other claims under the signature of `token`."""
    header, _, signature = token.split(".")
    return f"{header}.{encode(json.dumps(claims).encode())}.{signature}"


def encode(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _signing_input(header: object, claims: object, charset: str = "utf-8") -> str:
    return f"{encode(json.dumps(header).encode(charset))}.{encode(json.dumps(claims).encode(charset))}"


def _changed(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changes}.items() if value is not MISSING}


def _certificate_of(private: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def public_pem(key: Key) -> str:
    """The bare public key, without a certificate around it."""
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
