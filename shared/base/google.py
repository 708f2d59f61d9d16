"""Authorised calls to Google's own services over REST, for which no other client is worth loading.

With `requests` in a worker thread, because google-cloud-firestore has loaded it (and google.auth) already.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import google.auth
import requests
from google.auth.transport.requests import AuthorizedSession
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

KMS_URL = "https://cloudkms.googleapis.com/v1"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""The one scope that all of them take; what the service account may do is for IAM to say."""

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 5.0
RETRIES_MAX = 2
"""Only calls that are safe to repeat are made here."""
DEADLINE_S = 25.0
"""All attempts at their slowest. It also bounds what the timeouts do not: fetching credentials, many addresses."""

Answer = TypeVar("Answer")


class Google:
    """Authorised calls to one Google service, one thread at a time: `requests` promises nothing for several."""

    def __init__(self, session: requests.Session | None = None) -> None:
        """`session` stands in for one with this process's own credentials, which are looked up on first use."""
        self._session = session
        self._lock = threading.Lock()

    async def ask(self, read: Callable[[requests.Session], Answer]) -> Answer:
        """Run `read` in a thread within the deadline. Raise RequestException, GoogleAuthError or TimeoutError."""
        async with asyncio.timeout(DEADLINE_S):
            return await asyncio.to_thread(self._read, read)

    def _read(self, read: Callable[[requests.Session], Answer]) -> Answer:
        with self._lock:
            if self._session is None:
                self._session = _with_retries(AuthorizedSession(google.auth.default(scopes=[SCOPE])[0]))  # type: ignore[no-untyped-call]
            return read(self._session)


def _with_retries(session: Any) -> requests.Session:
    retries = Retry(
        total=RETRIES_MAX,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
        backoff_factor=0.3,
        raise_on_status=False,
        # An answer must not be able to make us sleep.
        respect_retry_after_header=False,
    )
    session.mount("https://", HTTPAdapter(max_retries=retries))
    opened: requests.Session = session
    return opened
