"""Ads over a ledger in memory, a store in memory that dies or is slow where a test says so, and an AdMob of our own."""

import asyncio

from local.admob import AD_UNITS, LocalAdMob
from shared.ads.gateway import VerifierKeys
from shared.ads.models import Allowance, Nonce, Offer, Outcome, View
from shared.ads.service import Ads
from shared.ads.store import AdsChanged, AdStore, Change, KeptAllowance, KeptView, Version
from shared.base.ad_units import parse_ad_units
from shared.base.ids import AccountId, UserId
from shared.ledger.documents import entry_from
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.models import Entry, EntryKind
from shared.ledger.operation import Posted
from shared.ledger.service import Facts, Ledger
from tests.ledger.builders import Ticker, engine_on, ledger_on

ADA, BEN = UserId("ada"), UserId("ben")
UNITS = parse_ad_units(AD_UNITS)


class Died(Exception):
    """The process ended here."""


class MemoryAds:
    """The promises of the store, in dictionaries. Each call lets others have their turn first."""

    def __init__(self) -> None:
        self.views: dict[Nonce, KeptView] = {}
        self.allowances: dict[UserId, KeptAllowance] = {}
        self.transactions: set[str] = set()
        self.dies_at: int | None = None
        """The commit, counted from now, at which the process ends without making it."""
        self._commits = 0

    async def view(self, nonce: Nonce) -> KeptView | None:
        await asyncio.sleep(0)
        return self.views.get(nonce)

    async def allowance(self, user_id: UserId) -> KeptAllowance:
        await asyncio.sleep(0)
        return self.allowances.get(user_id, KeptAllowance(Allowance(user_id=user_id)))

    async def is_counted(self, transaction_id: str) -> bool:
        return transaction_id in self.transactions

    async def commit(self, change: Change) -> Version:
        await asyncio.sleep(0)
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at < 0:
                raise Died
        allowance = change.allowance
        stale = [kept for kept in change.views if _version(self.views.get(kept.view.nonce)) != kept.version]
        if allowance is not None and _version(self.allowances.get(allowance.allowance.user_id)) != allowance.version:
            raise AdsChanged
        if stale or change.transaction_id in self.transactions:
            raise AdsChanged
        self._commits += 1
        version = Version(self._commits)
        self.views.update({kept.view.nonce: KeptView(kept.view, version) for kept in change.views})
        if allowance is not None:
            self.allowances[allowance.allowance.user_id] = KeptAllowance(allowance.allowance, version)
        if change.transaction_id is not None:
            self.transactions.add(change.transaction_id)
        return version


def _version(kept: KeptView | KeptAllowance | None) -> Version | None:
    return kept.version if kept is not None else None


class Theatre:
    """Somebody with a wallet, ads to watch, and AdMob's callbacks about them."""

    def __init__(self, store: AdStore | None = None, units: dict[str, str] | None = None) -> None:
        self.clock = Ticker()
        self.admob = LocalAdMob.new()
        self.ledger_store = MemoryLedgerStore()
        self.ledger = ledger_on(self.ledger_store, self.clock)
        self.store: AdStore = store or MemoryAds()
        self.units = dict(UNITS) if units is None else units
        self.ads = self.process()

    def dying_process(self) -> Ads:
        """One that counts a reward and ends before it pays."""
        return self.process(DyingLedger(engine_on(self.ledger_store), self.ledger_store, self.clock))

    def process(self, ledger: Ledger | None = None) -> Ads:
        """Another instance of the functions, over the same stores."""

        async def read() -> bytes:
            return self.admob.verifier_keys().encode()

        return Ads(ledger or self.ledger, self.store, VerifierKeys(read, self.clock), self.units, self.clock)

    async def open(self, *users: UserId) -> "Theatre":
        for user in users or (ADA,):
            await self.ledger.open(AccountId(f"user:{user}"))
        return self

    async def offer(self, tier: str = "text", user: UserId = ADA, *, wait_ms: int = 60_000) -> Offer:
        """An ad begins, a minute after whatever came before."""
        self.clock.now_ms += wait_ms
        return await self.ads.start(user, tier)

    def callback(self, view: View, **changed: str | int | None) -> str:
        """What AdMob says once the view is watched."""
        given: dict[str, str | int | None] = {"timestamp": self.clock(), **changed}
        return self.admob.callback(view.tier, view.nonce, **given)

    async def watch(self, tier: str = "text", user: UserId = ADA) -> Outcome:
        offer = await self.offer(tier, user)
        return await self.ads.reward(self.callback(offer.view))

    async def balance_micros(self, user: UserId = ADA) -> int:
        return (await self.ledger.head(AccountId(f"user:{user}"))).balance_micros

    def grants(self, user: UserId = ADA) -> list[Entry]:
        """Every entry that pays for an ad."""
        found = [entry_from(ref[1], document) for ref, document in self.ledger_store.entries.items()]
        return [one for one in found if one.account_id == f"user:{user}" and one.kind is EntryKind.GRANT]


class DyingLedger(Ledger):
    """Ends the process where it would pay."""

    async def grant_promo(
        self, account_id: AccountId, amount_micros: int, *, lifetime_ms: int, key: str, facts: Facts
    ) -> Posted:
        raise Died
