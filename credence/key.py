"""`key`: the public half of the key that signs checkpoints, as everybody who verifies takes it."""

import argparse
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.proof.note import VerifierKey, is_name

DONE, FAILED = 0, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("file", type=Path, help="what `gcloud kms keys versions get-public-key` wrote: PEM")
    parser.add_argument("--name", required=True, help="what the log is called: api.example.com/log")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if not is_name(options.name):
        sys.stderr.write("a log's name has neither spaces nor plus signs\n")
        return FAILED
    try:
        public_key = load_pem_public_key(options.file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        sys.stderr.write(f"{options.file} cannot be read as a public key: {type(error).__name__}\n")
        return FAILED
    if not isinstance(public_key, Ed25519PublicKey):
        sys.stderr.write(f"{options.file} has no key for Ed25519\n")
        return FAILED
    sys.stdout.write(f"{VerifierKey(options.name, public_key.public_bytes_raw())}\n")
    return DONE
