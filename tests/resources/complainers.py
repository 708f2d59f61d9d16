"""Complaints in memory, over the keys in memory."""

from shared.base.ids import UserId
from shared.resources.complaint_store import KeptComplaint, Past
from shared.resources.models import Complaint, ComplaintId, ContributedKey, HealthEvent, KeyId
from shared.resources.store import KeptKey, KeyChanged, Version
from tests.resources.builders import MemoryKeys


class MemoryComplaints:
    """The promises of their store."""

    def __init__(self, keys: MemoryKeys) -> None:
        self._keys = keys
        self.made: dict[ComplaintId, Complaint] = {}
        self.counts: dict[UserId, tuple[int, int, Version]] = {}
        self.marks: set[tuple[KeyId, UserId]] = set()

    async def find(self, complaint_id: ComplaintId) -> KeptComplaint | None:
        made = self.made.get(complaint_id)
        return KeptComplaint(made, Version(made)) if made else None

    async def past(self, key_id: KeyId, by: UserId, day_ms: int) -> Past:
        day, complaints, version = self.counts.get(by, (day_ms, 0, None))
        return Past(day_ms, complaints if day == day_ms else 0, (key_id, by) in self.marks, version)

    async def open(self, *, after: ComplaintId | None) -> list[Complaint]:
        waiting = [one for _, one in sorted(self.made.items()) if one.judgement is None]
        return [one for one in waiting if after is None or one.id > after]

    async def create(
        self, kept: KeptKey, after: ContributedKey, complaint: Complaint, past: Past, event: HealthEvent
    ) -> None:
        counted = self.counts.get(complaint.by)
        if complaint.id in self.made or (counted[2] if counted else None) != past.version:
            raise KeyChanged
        await self._keys.replace(kept, after, event)
        self.made[complaint.id] = complaint
        self.counts[complaint.by] = (past.day_ms, past.complaints + 1, Version(len(self.made)))
        self.marks.add((complaint.key_id, complaint.by))

    async def judge(
        self, found: KeptComplaint, judged: Complaint, kept: KeptKey, after: ContributedKey, event: HealthEvent
    ) -> None:
        if self.made[judged.id] != found.version:
            raise KeyChanged
        await self._keys.replace(kept, after, event)
        self.made[judged.id] = judged
