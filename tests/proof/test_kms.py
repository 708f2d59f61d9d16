"""The key in Cloud KMS: it signs the text itself, and an answer that does not verify is never used."""

import pytest
import requests

from shared.base.google import Google
from shared.proof.errors import SigningFailed
from shared.proof.gateway import KmsSigner
from shared.proof.note import open_note
from shared.proof.signer import sign_note
from tests.proof.builders import OTHER, signer
from tests.proof.google import KEY_VERSION, FakeGoogle

KEY = signer().verifier_key


def kms(google: FakeGoogle) -> KmsSigner:
    return KmsSigner(KEY_VERSION, KEY, Google(google))


async def test_kms_signs_a_note() -> None:
    assert open_note(await sign_note("text\n", kms(FakeGoogle())), KEY) == "text\n"


async def test_kms_with_another_key_is_refused() -> None:
    """The settings name one key, the service has another."""
    with pytest.raises(SigningFailed, match="does not verify"):
        await kms(FakeGoogle(key=OTHER)).sign(b"text\n")


@pytest.mark.parametrize("failure", [403, 500, requests.ConnectionError(), TimeoutError()])
async def test_kms_that_does_not_answer_is_named(failure: int | Exception) -> None:
    with pytest.raises(SigningFailed):
        await kms(FakeGoogle(fail_with=failure)).sign(b"text\n")
