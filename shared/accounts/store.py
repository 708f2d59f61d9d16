"""Who had the welcome bonus: `welcome_claims/{person}`, created once and never changed."""

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.accounts.errors import AccountsUnavailable
from shared.base.ids import UserId

TIMEOUT_S = 5.0


class FirestoreClaims:
    """Claims of the welcome bonus."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def claim(self, person: str, user_id: UserId) -> bool:
        """Claim the bonus for a person. True if this user holds the claim, now or since an earlier call."""
        ref = self._client.collection("welcome_claims").document(person)
        try:
            await ref.create({"user": user_id, "at": firestore.SERVER_TIMESTAMP}, retry=None, timeout=TIMEOUT_S)
        except google_errors.Conflict:
            return await self._holder(ref) == user_id
        except google_errors.GoogleAPICallError as error:
            raise AccountsUnavailable from error
        return True

    async def _holder(self, ref: firestore.AsyncDocumentReference) -> str | None:
        try:
            claim = await ref.get(timeout=TIMEOUT_S)
        except google_errors.GoogleAPICallError as error:
            raise AccountsUnavailable from error
        holder = claim.get("user")
        return holder if isinstance(holder, str) else None
