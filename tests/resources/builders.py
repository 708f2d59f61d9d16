"""Contributed keys over stores in memory and a ledger in memory, with a vault that has a real key file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from shared.base.ids import AccountId, EntryId, UserId
from shared.base.secret import Secret
from shared.catalog.service import Catalog
from shared.ledger.advances import Advances
from shared.ledger.models import Origin
from shared.ledger.settlement import Settlement
from shared.ledger.settling import Window
from shared.providers.models import DisconnectPolicy, Provider
from shared.resources.books import ContributionBooks
from shared.resources.care import KeyCare
from shared.resources.deposits import Deposits
from shared.resources.models import (
    FINAL_STATUSES,
    ContributedKey,
    Earned,
    HealthEvent,
    KeyId,
    KeyStatus,
    ModelEarned,
    Override,
    Probed,
    Use,
)
from shared.resources.pending import PendingCalls
from shared.resources.returns import Returns
from shared.resources.service import Contributions
from shared.resources.store import (
    PAGE_KEYS_MAX,
    Depositor,
    FingerprintTaken,
    KeptKey,
    KeyChanged,
    KeyExists,
    Version,
)
from shared.resources.validation import Validation
from shared.tasks.service import Task, Tasks
from shared.vault.files import FileKey
from shared.vault.service import Vault
from tests.ledger.builders import NOW, Ticker, engine_on
from tests.ledger.tampering import LedgerAt, in_memory

ADA, BEN = UserId("ada"), UserId("ben")
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
OTHER_MODEL = "google/gemma-2-2b-it"
SECRET = Secret("sk-canary-0123456789abcdef")
QUOTA = 100_000_000
HOST = "127.0.0.1:1"
PROVIDER = Provider("standin", f"http://{HOST}/v1", Secret("ours"), DisconnectPolicy.ESTIMATE)
ALLOWED = Override(provider="standin", allowed=True, reason="ours", by="operator", at_ms=NOW)


def key(name: str = "a", **fields: Any) -> ContributedKey:
    """A key that is active, unless something else is said."""
    made = ContributedKey(
        id=KeyId(name * 12),
        owner=ADA,
        provider="standin",
        host=HOST,
        models=(MODEL,),
        quota_micros=QUOTA,
        status=KeyStatus.ACTIVE,
        created_at_ms=NOW,
        fingerprint=name * 64,
    )
    return replace(made, **fields)


class MemoryKeys:
    """Records in a dictionary: the promises of the store."""

    def __init__(self) -> None:
        self.kept: dict[KeyId, KeptKey] = {}
        self.marks: dict[str, KeyId] = {}
        self.events: list[tuple[KeyId, HealthEvent]] = []
        self.depositors: dict[UserId, Depositor] = {}
        self.contended: set[KeyId] = set()
        """Keys that others change all the time."""
        self.before_write: Any = None
        """Called once before the next write: somebody else's."""
        self._versions = 0

    async def create(
        self,
        key: ContributedKey,
        event: HealthEvent,
        *,
        instead_of: KeyId | None,
        depositor: Depositor | None = None,
    ) -> None:
        holder = self.marks.get(key.fingerprint)
        if holder is not None and holder != instead_of:
            raise FingerprintTaken(holder)
        if key.id in self.kept:
            raise KeyExists
        if depositor is not None:
            if self.depositors.get(key.owner, Depositor(0, 0, None)).version != depositor.version:
                raise KeyExists
            version = Version(len(self.kept) + 1)
            self.depositors[key.owner] = Depositor(depositor.day_ms, depositor.deposits + 1, version)
        self.marks[key.fingerprint] = key.id
        self._keep(key, event)

    async def depositor(self, owner: UserId, day_ms: int) -> Depositor:
        known = self.depositors.get(owner, Depositor(day_ms, 0, None))
        return known if known.day_ms == day_ms else Depositor(day_ms, 0, known.version)

    async def open_of(self, owner: UserId, count_max: int) -> int:
        begun = [one for one in self.all_keys() if one.owner == owner and one.status not in FINAL_STATUSES]
        return len(begun[:count_max])

    async def replace(self, kept: KeptKey, key: ContributedKey, event: HealthEvent | None) -> None:
        self.check(kept)
        leased = self.kept[key.id].key
        self._keep(replace(key, leased_micros=leased.leased_micros, returned_micros=leased.returned_micros), event)

    def check(self, kept: KeptKey) -> None:
        if self.before_write:
            other, self.before_write = self.before_write, None
            other()
        if kept.key.id in self.contended or self.kept[kept.key.id].version != kept.version:
            raise KeyChanged

    async def find(self, key_id: KeyId) -> KeptKey | None:
        return self.kept.get(key_id)

    async def owned_by(self, owner: UserId, *, after: KeyId | None) -> list[ContributedKey]:
        return self._page([one for one in self.all_keys() if one.owner == owner], after)

    async def of_provider(self, provider: str, *, after: KeyId | None) -> list[ContributedKey]:
        return self._page([one for one in self.all_keys() if one.provider == provider], after)

    async def all(self, *, after: KeyId | None) -> list[ContributedKey]:
        return self._page(self.all_keys(), after)

    async def due(self, at_ms: int) -> list[ContributedKey]:
        due = [one for one in self.all_keys() if one.check_at_ms is not None and one.check_at_ms <= at_ms]
        return sorted(due, key=lambda one: one.check_at_ms or 0)[:PAGE_KEYS_MAX]

    def put(self, key: ContributedKey) -> ContributedKey:
        """As if it had always been there, or as choice writes it."""
        self.marks.setdefault(key.fingerprint, key.id)
        self._keep(key, None)
        return key

    def all_keys(self) -> list[ContributedKey]:
        return [kept.key for _, kept in sorted(self.kept.items())]

    def whats(self) -> list[str]:
        return [event.what for _, event in self.events]

    def _page(self, keys: list[ContributedKey], after: KeyId | None) -> list[ContributedKey]:
        return [one for one in keys if after is None or one.id > after][:PAGE_KEYS_MAX]

    def _keep(self, key: ContributedKey, event: HealthEvent | None) -> None:
        self._versions += 1
        self.kept[key.id] = KeptKey(key, Version(self._versions))
        if event is not None:
            self.events.append((key.id, event))


class MemoryOverrides:
    """What operators decided, all of it."""

    def __init__(self, *overrides: Override) -> None:
        self.put_ = list(overrides)

    async def of(self, provider: str) -> Override | None:
        return next((one for one in reversed(self.put_) if one.provider == provider), None)

    async def put(self, override: Override) -> None:
        self.put_.append(override)


class MemoryWindows:
    """Windows, dashboards and pending calls in dictionaries."""

    def __init__(self, keys: MemoryKeys) -> None:
        self._keys = keys
        self.counted: dict[tuple[KeyId, Window], Earned] = {}
        self.by_model: dict[str, ModelEarned] = {}
        self.pending: dict[EntryId, Use] = {}
        self.dies_after_count = False

    async def earned(self, key_id: KeyId, window: Window) -> Earned | None:
        return self.counted.get((key_id, window))

    async def count(
        self, kept: KeptKey, after: ContributedKey, window: Window, earned: Earned, models: Sequence[ModelEarned]
    ) -> None:
        self._keys.check(kept)
        if (after.id, window) in self.counted:
            raise KeyChanged
        await self._keys.replace(kept, after, None)
        self.counted[after.id, window] = earned
        for one in models:
            had = self.by_model.get(one.model)
            self.by_model[one.model] = (
                one
                if had is None
                else ModelEarned(
                    model=one.model,
                    calls=had.calls + one.calls,
                    price_micros=had.price_micros + one.price_micros,
                    paid_micros=had.paid_micros + one.paid_micros,
                    promo_micros=had.promo_micros + one.promo_micros,
                )
            )
        if self.dies_after_count:
            self.dies_after_count = False
            raise ConnectionError("the process ended here")

    async def put_pending(self, key: ContributedKey, use: Use, at_ms: int) -> None:
        self.pending[use.entry_id] = use

    async def drop_pending(self, key_id: KeyId, entries: Sequence[EntryId]) -> None:
        for entry_id in entries:
            self.pending.pop(entry_id, None)


class MemoryQueues:
    """Tasks that wait, each name once."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}

    async def create(self, task: Task) -> bool:
        is_new = task.task_id not in self.tasks
        self.tasks.setdefault(task.task_id, task)
        return is_new


class ScriptedProbe:
    """A provider that says what a test wants; it remembers what it was asked with."""

    def __init__(self) -> None:
        self.says: Probed | Exception = Probed((MODEL,))
        self.asked: list[tuple[Provider, Secret, Mapping[str, str]]] = []

    async def probe(
        self, provider: Provider, secret: Secret, names: Mapping[str, str], chats: frozenset[str]
    ) -> Probed:
        self.asked.append((provider, secret, dict(names)))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


class Pool:
    """All of it together."""

    def __init__(self, folder: Path, *overrides: Override) -> None:
        self.clock = Ticker()
        self.ledger: LedgerAt = in_memory(self.clock)
        self.engine = engine_on(self.ledger.store)
        self.store = MemoryKeys()
        self.overrides = MemoryOverrides(*(overrides or (ALLOWED,)))
        self.vault = Vault(FileKey(folder / "vault.json"), Secret("f" * 32))
        self.queues = MemoryQueues()
        self.probe = ScriptedProbe()
        self.windows = MemoryWindows(self.store)
        tasks = Tasks(self.queues, "http://tasks.example/{function}", self.clock)
        others = ("openai", "google")
        catalog = Catalog.from_file({"standin", *others})
        self.providers = {"standin": PROVIDER, **{name: replace(PROVIDER, name=name) for name in others}}
        self.advances = Advances(self.engine, self.clock)
        self.returns = Returns(self.store, self.advances)
        self.contributions = Contributions(self.store, self.returns, self.clock)
        self.deposits = Deposits(self.store, self.overrides, self.vault, catalog, self.providers, tasks, self.clock)
        self.validation = Validation(
            self.store,
            self.overrides,
            self.vault,
            catalog,
            self.providers,
            self.probe,
            self.advances,
            self.returns,
            self.clock,
        )
        self.care = KeyCare(self.store, self.contributions, self.overrides, self.returns, tasks, self.clock)
        self.books = ContributionBooks(self.store, self.windows, self.advances, self.returns)
        self.pending = PendingCalls(self.store, self.windows)

    @property
    def settlement(self) -> Settlement:
        return Settlement(self.engine, self.ledger.windows, self.clock, readers=[self.books])

    async def deposit(self, **other: Any) -> ContributedKey:
        asked: dict[str, Any] = {
            "owner": ADA,
            "provider_name": "standin",
            "models": frozenset({MODEL}),
            "quota_micros": QUOTA,
            "secret": SECRET,
            "key": "k1",
            **other,
        }
        return await self.deposits.deposit(
            asked.pop("owner"),
            asked.pop("provider_name"),
            asked.pop("models"),
            asked.pop("quota_micros"),
            asked.pop("secret"),
            **asked,
        )

    async def active(self, **other: Any) -> ContributedKey:
        """A key that was deposited and tried."""
        deposited = await self.deposit(**other)
        await self.validation.validate(deposited.id)
        return self.now(deposited)

    def now(self, key: ContributedKey) -> ContributedKey:
        return self.store.kept[key.id].key

    async def lots(self, account_id: AccountId) -> dict[Origin, int]:
        """What stands on an account by origin."""
        head = (await self.ledger.store.read([account_id], ())).heads[account_id].head
        sums = dict.fromkeys(Origin, 0)
        for lot in head.lots if head else ():
            sums[lot.origin] += lot.remaining_micros
        return sums
