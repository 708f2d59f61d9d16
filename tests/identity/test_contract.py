"""The same tokens through Firebase's own SDK give the same verdicts, except where we are stricter on purpose.

Firebase's SDK is told the same clock skew as ours. We refuse and it accepts:

- huge: it has no limit; ours keeps a stranger from making us parse and hash what no client sends;
- characters outside base64url: it decodes with a lenient base64 that drops them, so one token has many spellings; RFC
  7515 allows one;
- expired within the clock skew: it grants the skew to `exp` too; we grant it to the past only, so no token outlives
  its `exp`;
- exp is a fraction, iat is a boolean: Google issues whole seconds; it compares whatever compares;
- no auth_time, signed in in the future: Firebase's documentation requires `auth_time` in the past, its Python SDK does
  not look; without it a revocation could not be judged;
- tenant, firebase is a list: it accepts any tenant's token when it is told of no tenant; a tenant's uid may be equal
  to that of another person in our project;
- uid with a slash: a uid becomes part of a document path here.

Of the revocation check (`check_revoked=True`), which needs the network, only the time compared differs: see
rules.check_account.
"""

import time
from collections.abc import Iterator
from typing import Any

import firebase_admin  # type: ignore[import-untyped]
import pytest
from firebase_admin import auth, credentials
from google.auth.credentials import AnonymousCredentials
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from shared.base.clock import system_clock
from shared.base.errors import CredenceError
from shared.identity.rules import CLOCK_SKEW_MS
from tests.identity.builders import build_identity
from tests.identity.cases import PUBLISHED, USER_CASES, Case
from tests.identity.google import Google, serve_google
from tests.identity.tokens import PROJECT, UID


class NoCredential(credentials.Base):  # type: ignore[misc]
    """Verifying a token needs no credentials."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]


class LocalCertificates(HTTPAdapter):
    """Sends what was meant for Google's certificates to our server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        request.url = self._url
        return super().send(request, *args, **kwargs)


@pytest.fixture(scope="module")
def published() -> Iterator[Google]:
    with serve_google() as google:
        google.certificates = {PUBLISHED.kid: PUBLISHED.certificate}
        google.accounts = {UID: {}, "u" * 128: {}}
        yield google


@pytest.fixture(scope="module")
def firebase(published: Google) -> Iterator[auth.Client]:
    """The SDK's client with its own certificate URL, reached over an adapter of ours. Nothing is patched."""
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
        app = firebase_admin.initialize_app(NoCredential(), {"projectId": PROJECT}, name="contract")
        client = auth.Client(app)
        session = client._token_verifier.request.session
        session.mount("https://www.googleapis.com/robot/", LocalCertificates(published.certificates_url))
        yield client
        firebase_admin.delete_app(app)


@pytest.mark.parametrize("case", USER_CASES, ids=lambda case: case.name)
async def test_our_verdict_is_firebases_or_stricter_on_purpose(
    case: Case, firebase: auth.Client, published: Google
) -> None:
    token = case.make(int(time.time()))

    ours = await _we_accept(published, token)
    theirs = _firebase_accepts(firebase, token)

    assert ours == (case.refusal is None)
    assert theirs == (ours or case.stricter_than_firebase)


async def _we_accept(published: Google, token: str) -> bool:
    try:
        await build_identity(published, system_clock).user(token)
    except CredenceError:
        return False
    return True


def _firebase_accepts(firebase: auth.Client, token: str) -> bool:
    try:
        firebase.verify_id_token(token, clock_skew_seconds=CLOCK_SKEW_MS // 1000)
    except auth.CertificateFetchError:
        # A refusal for this reason would say nothing about the token.
        raise
    except (ValueError, auth.InvalidIdTokenError, RecursionError, TypeError, AttributeError):
        # Hostile tokens make it fail in ways it does not document; none of them lets the token in.
        return False
    return True
