"""Where notices are kept: `users/{uid}/notifications/{entry}-{kind}`, created once; their owner marks them as read."""

from google.api_core import exceptions as google_errors
from google.cloud import firestore

from shared.notices.errors import NoticesUnavailable, NoticeUnwritable
from shared.notices.models import Notice

TIMEOUT_S = 5.0


class FirestoreNotices:
    """Notices in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def create(self, notice: Notice) -> bool:
        fields = {
            "kind": notice.kind.value,
            "entry": notice.entry_id,
            "seq": notice.seq,
            "delta_micros": notice.delta_micros,
            "balance_micros": notice.balance_micros,
            "at_ms": notice.at_ms,
            "text": notice.text,
            "read": False,
            "created_at": firestore.SERVER_TIMESTAMP,
        }
        notifications = self._client.collection("users").document(notice.user_id).collection("notifications")
        try:
            await notifications.document(notice.notice_id).create(fields, retry=None, timeout=TIMEOUT_S)
        except google_errors.AlreadyExists:
            return False
        except google_errors.InvalidArgument:
            raise NoticeUnwritable from None
        except google_errors.GoogleAPICallError as error:
            raise NoticesUnavailable from error
        return True
