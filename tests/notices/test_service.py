"""Telling of entries: from the stored document, once, and only of what is one."""

import pytest

from shared.base.economy import LARGE_MOVEMENT_MICROS, LOW_BALANCE_MICROS
from shared.base.ids import AccountId, EntryId
from shared.ledger.documents import entry_document
from shared.notices.errors import EntryUnreadable, NoticesUnavailable
from shared.notices.models import Notice, NoticeKind
from shared.notices.service import Notices
from tests.notices.builders import MemoryNotices, entry

BOTH = entry(delta_micros=-LARGE_MOVEMENT_MICROS, balance_micros=LOW_BALANCE_MICROS - 1)
ADA = AccountId("user:ada")


class FailingOnce(MemoryNotices):
    """Dies before its second notice, once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def create(self, notice: Notice) -> bool:
        self.calls += 1
        if self.calls == 2:
            raise NoticesUnavailable
        return await super().create(notice)


async def test_an_entry_is_told_of_once_however_often_it_comes() -> None:
    notices = Notices(MemoryNotices())

    told = [await notices.tell_of(ADA, BOTH.entry_id, entry_document(BOTH)) for _ in range(3)]

    assert [[notice.kind for notice in each] for each in told] == [
        [NoticeKind.LARGE_MOVEMENT, NoticeKind.LOW_BALANCE],
        [],
        [],
    ]


async def test_a_repeat_after_a_failure_tells_the_rest() -> None:
    store = FailingOnce()
    with pytest.raises(NoticesUnavailable):
        await Notices(store).tell_of(ADA, BOTH.entry_id, entry_document(BOTH))

    told = await Notices(store).tell_of(ADA, BOTH.entry_id, entry_document(BOTH))

    assert [notice.kind for notice in told] == [NoticeKind.LOW_BALANCE]
    assert len(store.kept) == 2


@pytest.mark.parametrize(
    "wrong", [{"format": 99}, {"seq": True}, {"delta_micros": 1.5}, {"kind": "gift"}, {"legs": None}]
)
async def test_what_is_no_entry_is_refused(wrong: dict[str, object]) -> None:
    store = MemoryNotices()
    with pytest.raises(EntryUnreadable):
        await Notices(store).tell_of(ADA, BOTH.entry_id, {**entry_document(BOTH), **wrong})
    assert not store.kept


async def test_an_entry_under_another_account_is_refused() -> None:
    """Its owner would be told of somebody else's credits."""
    store = MemoryNotices()
    with pytest.raises(EntryUnreadable):
        await Notices(store).tell_of(AccountId("user:ben"), EntryId(BOTH.entry_id), entry_document(BOTH))
    assert not store.kept
