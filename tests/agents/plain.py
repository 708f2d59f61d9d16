"""Commits without a lease, for what is tested of the saver alone."""

from collections.abc import Sequence

from google.cloud import firestore

from shared.agents.commits import Change, Delete


class PlainCommits:
    """Every change is made, and how much that was is counted."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client
        self.commits = 0
        self.documents = 0
        self.bytes = 0

    async def commit(self, changes: Sequence[Change], *, step: int | None = None) -> None:
        batch = self._client.batch()
        for change in changes:
            ref = self._client.document(change.path)
            if isinstance(change, Delete):
                batch.delete(ref)
            else:
                batch.set(ref, dict(change.fields))
        self.commits += 1
        self.documents += len(changes)
        self.bytes += sum(write.ByteSize() for write in (pb._pb for pb in batch._write_pbs))
        await batch.commit(retry=None, timeout=20.0)
