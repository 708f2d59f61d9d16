"""What every store of notices promises, Firestore's and the one in memory alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from google.cloud import firestore
from msgspec.structs import replace

from local.stack import Stack
from shared.base.economy import LARGE_MOVEMENT_MICROS
from shared.base.ids import UserId
from shared.notices.errors import NoticesUnavailable, NoticeUnwritable
from shared.notices.models import NoticeKind
from shared.notices.rules import notices_of
from shared.notices.service import NoticeStore
from shared.notices.store import FirestoreNotices
from tests.database import firestore_at
from tests.notices.builders import MemoryNotices, entry

[NOTICE] = notices_of(entry(delta_micros=-LARGE_MOVEMENT_MICROS, balance_micros=LARGE_MOVEMENT_MICROS))


class NoticesContract:
    """Subclassed once per store; `notices` is empty at first."""

    async def test_a_notice_is_written_once(self, notices: NoticeStore) -> None:
        """Another text of the same id does not replace the first."""
        assert await notices.create(NOTICE)
        assert not await notices.create(NOTICE)
        assert not await notices.create(replace(NOTICE, text="Something else."))

    async def test_users_entries_and_kinds_do_not_share_notices(self, notices: NoticeStore) -> None:
        others = (replace(NOTICE, user_id=UserId("ben")), replace(NOTICE, kind=NoticeKind.LOW_BALANCE))

        assert await notices.create(NOTICE)
        assert [await notices.create(other) for other in others] == [True, True]

    async def test_of_many_at_once_one_is_written(self, notices: NoticeStore) -> None:
        written = await asyncio.gather(*(notices.create(replace(NOTICE)) for _ in range(10)))

        assert written.count(True) == 1


class TestMemoryNotices(NoticesContract):
    """The fake."""

    @pytest.fixture
    def notices(self) -> NoticeStore:
        return MemoryNotices()


@pytest.fixture
async def client(stack: Stack, project_id: str) -> AsyncIterator[firestore.AsyncClient]:
    """The emulator, in a project of its own."""
    async with firestore_at(stack.firestore_address, project_id) as client:
        yield client


class TestFirestoreNotices(NoticesContract):
    """The real one, on the emulator."""

    @pytest.fixture
    def notices(self, client: firestore.AsyncClient) -> NoticeStore:
        return FirestoreNotices(client)

    async def test_a_notice_is_stored_as_clients_read_it(self, client: firestore.AsyncClient) -> None:
        """Amounts are integers, the time is the server's, and nobody has read it."""
        await FirestoreNotices(client).create(NOTICE)

        path = f"users/ada/notifications/{NOTICE.entry_id}-large_movement"
        stored = (await client.document(path).get()).to_dict() or {}
        assert isinstance(stored.pop("created_at"), datetime)
        assert stored == {
            "kind": "large_movement",
            "entry": NOTICE.entry_id,
            "seq": 3,
            "delta_micros": -LARGE_MOVEMENT_MICROS,
            "balance_micros": LARGE_MOVEMENT_MICROS,
            "at_ms": NOTICE.at_ms,
            "text": NOTICE.text,
            "read": False,
        }

    async def test_what_was_read_stays_read(self, client: firestore.AsyncClient) -> None:
        """An event that comes again does not bring the notice back."""
        await FirestoreNotices(client).create(NOTICE)
        document = client.document(f"users/ada/notifications/{NOTICE.notice_id}")
        await document.update({"read": True})

        assert not await FirestoreNotices(client).create(NOTICE)

        assert (await document.get()).get("read") is True

    @pytest.mark.parametrize("uid", [".", "..", "__ada__"])
    async def test_an_id_that_firestore_forbids_is_refused_for_good(
        self, client: firestore.AsyncClient, uid: str
    ) -> None:
        with pytest.raises(NoticeUnwritable):
            await FirestoreNotices(client).create(replace(NOTICE, user_id=UserId(uid)))


async def test_a_store_that_does_not_answer_is_a_refusal_to_be_repeated() -> None:
    """And not a crash with Google's words in it."""
    async with firestore_at("127.0.0.1:1", "demo-nobody") as client:
        with pytest.raises(NoticesUnavailable):
            await FirestoreNotices(client).create(NOTICE)
