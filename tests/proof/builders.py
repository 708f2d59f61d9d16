"""Keys, leaves and logs for the tests of proofs."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.proof.signer import LocalSigner

ORIGIN = "log.credence.test"
SEED = bytes(range(32))


def signer(name: str = ORIGIN, seed: bytes = SEED) -> LocalSigner:
    """A signer whose key is the same in every run."""
    return LocalSigner(name, Ed25519PrivateKey.from_private_bytes(seed))


OTHER = signer(ORIGIN, bytes(32))
"""Somebody else's key under the same name."""
