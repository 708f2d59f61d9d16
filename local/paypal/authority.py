"""What stands for DigiCert and for PayPal's signing key: a root, a certificate that it vouches for, and signatures."""

import base64
import datetime
import json
import secrets
from collections.abc import Sequence
from typing import Self
from zlib import crc32

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "messageverificationcerts.sandbox.paypal.com"
CERTIFICATE_PATH = "/v1/notifications/certs/CERT-57414e44-494e2d4c4f43414c"
CERTIFICATE_URL = f"https://api.sandbox.paypal.com{CERTIFICATE_PATH}"
"""Where events say that their certificate lies. On a local deployment it lies in a file, too."""
KEY_BITS = 2_048
LIFETIME = datetime.timedelta(days=397)
_A_DAY = datetime.timedelta(days=1)


def approval_of(paypal_order_id: str) -> bytes:
    """An event, as far as anybody reads it: a buyer approved the order."""
    resource = {"id": paypal_order_id, "status": "APPROVED"}
    event = {"id": "WH-1", "event_type": "CHECKOUT.ORDER.APPROVED", "resource_type": "checkout-order"}
    return json.dumps({**event, "resource": resource}).encode()


class Root:
    """Somebody who vouches for names."""

    def __init__(self, at: datetime.datetime) -> None:
        self._at = at
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stand-in Root")])
        public = self._key.public_key()
        self.certificate = (
            _begun(name, name, public, at - _A_DAY, at + LIFETIME * 2)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_may_sign_certificates(), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, SHA256())
        )

    def vouch(self, key: rsa.RSAPublicKey, name: str, *, until: datetime.datetime | None = None) -> x509.Certificate:
        """A certificate that says whose key it is."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self.certificate.subject
        until = until or self._at + LIFETIME
        return (
            _begun(subject, issuer, key, until - LIFETIME - _A_DAY, until)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )


class Signatory:
    """Signs events, under a certificate."""

    def __init__(self, key: rsa.RSAPrivateKey, chain: Sequence[x509.Certificate]) -> None:
        """`chain` begins with the signer's certificate and ends with the root."""
        self._key = key
        self.chain = tuple(chain)

    @classmethod
    def new(cls, at: datetime.datetime, name: str = NAME) -> Self:
        """One with a root of its own."""
        key, root = rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS), Root(at)
        return cls(key, [root.vouch(key.public_key(), name), root.certificate])

    def certified_anew(self, chain: Sequence[x509.Certificate]) -> "Signatory":
        """The same key under other certificates."""
        return Signatory(self._key, chain)

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """What the certificate is about."""
        return self._key.public_key()

    @property
    def pem(self) -> bytes:
        """The chain, as PayPal publishes it; the root at its end."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in self.chain)

    @property
    def key_pem(self) -> bytes:
        """The signing key, for the process that signs."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(
        self, raw: bytes, webhook_id: str, at_s: int, *, transmission_id: str | None = None, url: str = CERTIFICATE_URL
    ) -> dict[str, str]:
        """The headers of a delivery."""
        transmission_id = transmission_id or new_transmission_id()
        time = datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = f"{transmission_id}|{time}|{webhook_id}|{crc32(raw)}".encode()
        return {
            "paypal-transmission-id": transmission_id,
            "paypal-transmission-time": time,
            "paypal-transmission-sig": base64.b64encode(self._key.sign(signed, PKCS1v15(), SHA256())).decode(),
            "paypal-cert-url": url,
            "paypal-auth-algo": "SHA256withRSA",
        }


def new_transmission_id() -> str:
    """As PayPal's look: five groups of hexadecimal digits."""
    text = secrets.token_hex(16)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    since: datetime.datetime,
    until: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
    )


def _may_sign_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
