"""LangGraph's checkpoints in Firestore. Loaded by who runs graphs, for it loads LangGraph.

Under `{threads}/{thread}`: `graph_checkpoints` has a document for each checkpoint, which names the value of every
channel; `graph_writes` one for what a task of an unfinished super-step wrote; `graph_blobs` the pieces of larger
values, each under its hash. So a step writes what it changed, and how many there were before it does not matter.

All writes go through `Commits`, which in a job checks the lease in the same commit. Other savers of LangGraph store
what any process says: two that run one thread at once both go on, and every node runs twice.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from msgspec import Struct

from shared.agents.blobs import BLOBS, Held, blob_puts, held_as, held_from
from shared.agents.commits import Commits, Delete, Put, portions
from shared.agents.errors import JobsUnavailable
from shared.agents.limits import COMMIT_BYTES_MAX
from shared.agents.names import checkpoint_name, safe_name

TIMEOUT_S = 20.0
CHECKPOINTS, WRITES = "graph_checkpoints", "graph_writes"
INLINE_VALUE_BYTES_MAX = 256
"""Of a channel in a checkpoint: most hold a number, a name or nothing. A graph has few channels, so this does not add
up to much."""
INLINE_WRITE_BYTES_MAX = 8 * 1024
"""Of one write of a task. Written once, so more of it may stand in the document than of what every checkpoint names."""
DELETED_AT_ONCE_MAX = 300
_LOOP = "loop"


class WouldBlock(RuntimeError):
    """A defect of whoever calls: Firestore is waited for, and the loop must not be."""

    def __init__(self, instead: str) -> None:
        super().__init__(f"this saver is asynchronous: use {instead}")


class FirestoreSaver(BaseCheckpointSaver[int]):
    """A saver for one process. `threads` is the collection whose documents are threads."""

    def __init__(self, client: firestore.AsyncClient, commits: Commits, *, threads: str = "jobs") -> None:
        super().__init__()
        self._client = client
        self._commits = commits
        self._threads = threads
        self._known: dict[tuple[str, str, str, Any], Held] = {}
        """How the present values of channels are held, by thread, namespace, channel and version."""

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint: larger values first, and in the last commit the checkpoint that names them."""
        thread, namespace = _place(config)
        path = self._thread_path(thread)
        puts: list[Put] = []
        # A list, for Firestore refuses names of fields like `__start__`.
        values: list[dict[str, Any]] = []
        held_now: dict[tuple[str, str, str, Any], Held] = {}
        for channel, value in checkpoint["channel_values"].items():
            key = (thread, namespace, channel, checkpoint["channel_versions"].get(channel))
            held = None if channel in new_versions else self._known.get(key)
            if held is None:
                kind, content = self.serde.dumps_typed(value)
                held = held_as(kind, content, inline_bytes_max=INLINE_VALUE_BYTES_MAX)
                if held not in self._known.values():
                    puts.extend(blob_puts(path, held, content))
            values.append({"channel": channel, **held.fields()})
            held_now[key] = held
        bare = {**checkpoint, "channel_values": {}}
        fields = {
            "thread": thread,
            "ns": namespace,
            "id": checkpoint["id"],
            "parent": get_checkpoint_id(config),
            "checkpoint": _typed(self.serde.dumps_typed(bare)),
            "metadata": _typed(self.serde.dumps_typed(get_checkpoint_metadata(config, metadata))),
            "values": values,
        }
        puts.append(Put(f"{path}/{CHECKPOINTS}/{checkpoint_name(namespace, checkpoint['id'])}", fields))
        finished = metadata.get("step") if metadata.get("source") == _LOOP and not namespace else None
        await self._put(puts, step=finished)
        self._known = {key: held for key, held in self._known.items() if key[:2] != (thread, namespace)} | held_now
        return _config(thread, namespace, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote, in one commit unless it is very much."""
        thread, namespace = _place(config)
        path = self._thread_path(thread)
        puts: list[Put] = []
        stored: list[dict[str, Any]] = []
        for position, (channel, value) in enumerate(writes):
            kind, content = self.serde.dumps_typed(value)
            held = held_as(kind, content, inline_bytes_max=INLINE_WRITE_BYTES_MAX)
            puts.extend(blob_puts(path, held, content))
            stored.append({"idx": WRITES_IDX_MAP.get(channel, position), "channel": channel, **held.fields()})
        of = checkpoint_name(namespace, str(get_checkpoint_id(config)))
        fields = {"of": of, "task_id": task_id, "task_path": task_path, "writes": stored}
        # What a task says of itself, an error or a question, is kept apart from what it wrote; newer replaces older.
        which = ",".join(str(write["idx"]) for write in stored)
        name = hashlib.sha256(f"{task_id}:{which}".encode()).hexdigest()
        puts.append(Put(f"{path}/{WRITES}/{of}-{name}", fields))
        await self._put(puts)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The named checkpoint, or the newest of its thread and namespace."""
        thread, namespace = _place(config)
        checkpoints = self._client.document(self._thread_path(thread)).collection(CHECKPOINTS)
        try:
            if checkpoint_id := get_checkpoint_id(config):
                named = checkpoints.document(checkpoint_name(namespace, checkpoint_id))
                found = await named.get(retry=None, timeout=TIMEOUT_S)
                return await self._tuple(found.to_dict() or {}, keeps=False) if found.exists else None
            newest = checkpoints.where(filter=FieldFilter("ns", "==", namespace)).order_by("id", direction="DESCENDING")
            async for found in newest.limit(1).stream(retry=None, timeout=TIMEOUT_S):
                return await self._tuple(found.to_dict() or {}, keeps=True)
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error
        return None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints, newest first: of a namespace, of a thread, or of all threads."""
        left = limit
        try:
            async for one in self._listed(config, before):
                if left is not None and left <= 0:
                    return
                if all(dict(one.metadata).get(name) == wanted for name, wanted in (filter or {}).items()):
                    left = None if left is None else left - 1
                    yield one
        except google_errors.GoogleAPICallError as error:
            raise JobsUnavailable from error

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all of one thread, and nothing of any whose name begins alike."""
        path = self._thread_path(str(thread_id))
        for group in (CHECKPOINTS, WRITES, BLOBS):
            listed = self._client.document(path).collection(group).list_documents(retry=None, timeout=TIMEOUT_S)
            try:
                names = [f"{path}/{group}/{ref.id}" async for ref in listed]
            except google_errors.GoogleAPICallError as error:
                raise JobsUnavailable from error
            for first in range(0, len(names), DELETED_AT_ONCE_MAX):
                await self._commits.commit([Delete(name) for name in names[first : first + DELETED_AT_ONCE_MAX]])
        self._known = {key: held for key, held in self._known.items() if key[0] != thread_id}

    async def _put(self, puts: Iterable[Put], *, step: int | None = None) -> None:
        """If we die between two commits, only values are there that nothing names yet, and the step is done again."""
        *earlier, last = portions(puts, bytes_max=COMMIT_BYTES_MAX)
        for portion in earlier:
            await self._commits.commit(portion)
        await self._commits.commit(last, step=step)

    async def _listed(
        self, config: RunnableConfig | None, before: RunnableConfig | None
    ) -> AsyncIterator[CheckpointTuple]:
        if config is not None and get_checkpoint_id(config):
            if (found := await self.aget_tuple(config)) is not None:
                yield found
            return
        if config is None:
            query: Any = self._client.collection_group(CHECKPOINTS).order_by("id", direction="DESCENDING")
        else:
            thread_path = self._thread_path(str(config["configurable"]["thread_id"]))
            query = self._client.document(thread_path).collection(CHECKPOINTS).order_by("id", direction="DESCENDING")
            if (namespace := config["configurable"].get("checkpoint_ns")) is not None:
                query = query.where(filter=FieldFilter("ns", "==", namespace))
        if before and (before_id := get_checkpoint_id(before)):
            query = query.where(filter=FieldFilter("id", "<", before_id))
        async for one in query.stream(retry=None, timeout=TIMEOUT_S):
            yield await self._tuple(one.to_dict() or {}, keeps=False)

    async def _tuple(self, fields: Mapping[str, Any], *, keeps: bool) -> CheckpointTuple:
        thread, namespace, checkpoint_id = fields["thread"], fields["ns"], fields["id"]
        path = self._thread_path(thread)
        written = await self._writes_of(path, checkpoint_name(namespace, checkpoint_id))
        held = {value["channel"]: held_from(value) for value in fields["values"]}
        pieces = await self._pieces(path, [*held.values(), *(write.held for write in written)])
        checkpoint: Checkpoint = self.serde.loads_typed(_untyped(fields["checkpoint"]))
        if keeps:
            versions = checkpoint["channel_versions"]
            self._known = {(thread, namespace, name, versions.get(name)): value for name, value in held.items()}
        pending: list[PendingWrite] = [
            (write.task_id, write.channel, self.serde.loads_typed(_content(write.held, pieces))) for write in written
        ]
        values = {name: self.serde.loads_typed(_content(value, pieces)) for name, value in held.items()}
        return CheckpointTuple(
            config=_config(thread, namespace, checkpoint_id),
            checkpoint={**checkpoint, "channel_values": values},
            metadata=self.serde.loads_typed(_untyped(fields["metadata"])),
            parent_config=_config(thread, namespace, fields["parent"]) if fields["parent"] else None,
            pending_writes=pending,
        )

    async def _writes_of(self, path: str, of: str) -> list["_Written"]:
        """In the order in which the tasks would have made them."""
        query = self._client.document(path).collection(WRITES).where(filter=FieldFilter("of", "==", of))
        written: dict[tuple[str, str, int], _Written] = {}
        async for found in query.stream(retry=None, timeout=TIMEOUT_S):
            fields = found.to_dict() or {}
            for write in fields["writes"]:
                key = (fields["task_path"], fields["task_id"], write["idx"])
                written[key] = _Written(fields["task_id"], write["channel"], held_from(write))
        return [written[key] for key in sorted(written)]

    async def _pieces(self, path: str, held: Iterable[Held]) -> dict[str, bytes]:
        """What is not held inline, piece by piece."""
        names = sorted({name for value in held if value.inline is None for name in value.piece_names()})
        blobs = self._client.document(path).collection(BLOBS)
        found: dict[str, bytes] = {}
        if names:
            refs = [blobs.document(name) for name in names]
            async for one in self._client.get_all(refs, retry=None, timeout=TIMEOUT_S):
                if one.exists:
                    found[one.id] = one.get("data")
        return found

    def _thread_path(self, thread: str) -> str:
        return f"{self._threads}/{safe_name(thread)}"

    def get_tuple(self, config: RunnableConfig) -> NoReturn:
        """Raise WouldBlock, like all of LangGraph's verbs that are not awaited."""
        raise WouldBlock("aget_tuple")

    def list(self, config: RunnableConfig | None, **_: Any) -> NoReturn:
        """As above."""
        raise WouldBlock("alist")

    def put(self, *_: Any) -> NoReturn:
        """As above."""
        raise WouldBlock("aput")

    def put_writes(self, *_: Any, **__: Any) -> NoReturn:
        """As above."""
        raise WouldBlock("aput_writes")

    def delete_thread(self, thread_id: str) -> NoReturn:
        """As above."""
        raise WouldBlock("adelete_thread")


class _Written(Struct, frozen=True):
    task_id: str
    channel: str
    held: Held


def _place(config: RunnableConfig) -> tuple[str, str]:
    configurable = config["configurable"]
    return str(configurable["thread_id"]), configurable.get("checkpoint_ns", "")


def _config(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}


def _typed(typed: tuple[str, bytes]) -> dict[str, Any]:
    return {"kind": typed[0], "data": typed[1]}


def _untyped(fields: Mapping[str, Any]) -> tuple[str, bytes]:
    return fields["kind"], fields["data"]


def _content(held: Held, pieces: Mapping[str, bytes]) -> tuple[str, bytes]:
    if held.inline is not None:
        return held.kind, held.inline
    return held.kind, b"".join(pieces[name] for name in held.piece_names())
