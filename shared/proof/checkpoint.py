"""The checkpoint, called by the timer `ledger_checkpoint`: log what changed, sign the log, publish the signature.

One run adds a statement for each account that was posted to, then an epoch record, and signs the log that ends with
it, all in one commit; a run with many statements does so several times. So every root of the log is signed, and vouches
for books that balance. What is true if a run dies:

- before an append: nothing happened, and the next run finds the same accounts changed;
- between two appends: the statements of the first are logged and signed; the next run finds the rest;
- after an append, before publishing: the note stands in the log's state; the next run publishes it first.

Runs may overlap. Each append expects the state it was computed from, so the second one is rejected and begins again. A
note of a rejected append was signed and never left this process.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from shared.base.clock import Clock
from shared.base.ids import AccountId
from shared.base.log import write_line
from shared.base.merkle import ProofWrong
from shared.base.together import all_of, both
from shared.ledger.archive import Changes, LedgerArchive, Stamp
from shared.ledger.documents import BANDS, lanes_of
from shared.ledger.errors import ChainBroken
from shared.ledger.models import Head
from shared.ledger.store import LedgerStore
from shared.proof.errors import CommitLost, LogBroken, NoteWrong, TileWrong, VaultConflict
from shared.proof.log import (
    Append,
    Epoch,
    LogState,
    Statement,
    append_epoch,
    checked_edge,
    signed,
    tiles_to_extend,
)
from shared.proof.news import News, is_news
from shared.proof.note import Checkpoint
from shared.proof.signer import Signer, sign_note
from shared.proof.store import KnownState, LogStore, StateVersion
from shared.proof.sums import EpochSums, Totals
from shared.proof.tiles import Tiles, edge_after
from shared.proof.vault import Published, Vault

TRIES_MAX = 3
"""Runs overlap when one takes longer than a minute; whoever lost three times can leave it to the next minute."""
UNBALANCED = "epoch_unbalanced"
BROKEN = "log_broken"


class CheckpointLimits(Struct, frozen=True):
    """What bounds one run: a few seconds' work, well within the minute until the next."""

    heads_max: int = 4_000
    """Accounts looked at. What is left over is found again by the next run."""
    page_accounts_max: int = 200
    """Accounts of one query."""
    commit_statements_max: int = 200
    """Two documents each, so that a commit is about a quarter of a megabyte."""


class CheckpointReport(Struct, frozen=True):
    """What a run did. `refused` names the alarm when nothing was signed; `finished`: nothing was left for the next."""

    size: int
    epoch: int
    heads: int
    drift_micros: int
    refused: str | None
    finished: bool


class _Open(Struct):
    """The log as this run has it open: its state, and the tiles that are partly filled."""

    state: LogState
    version: StateVersion | None
    edge: Tiles


class Checkpoints:
    """Logs and signs what the ledger has become."""

    def __init__(
        self,
        *,
        ledger: LedgerStore,
        archive: LedgerArchive,
        log: LogStore,
        sums: EpochSums,
        signer: Signer,
        vault: Vault,
        clock: Clock,
        limits: CheckpointLimits | None = None,
    ) -> None:
        self._ledger = ledger
        self._archive = archive
        self._log = log
        self._sums = sums
        self._signer = signer
        self._vault = vault
        self._clock = clock
        self._limits = limits or CheckpointLimits()

    async def run(self) -> CheckpointReport:
        """Log, sign and publish one epoch; or raise an alarm and answer why nothing was signed.

        Raise StoreUnavailable, SigningFailed, VaultUnavailable or CommitLost: the next run begins where this one ended.
        """
        try:
            for _ in range(TRIES_MAX - 1):
                try:
                    return await self._run()
                except CommitLost:
                    continue
            return await self._run()
        except (ChainBroken, LogBroken, VaultConflict, TileWrong, ProofWrong, NoteWrong) as error:
            reason = f"{type(error).__name__}: {error}"
            write_line("CRITICAL", BROKEN, reason=reason)
            await self._log.raise_alarm(BROKEN, {"reason": reason})
            return CheckpointReport(0, 0, 0, 0, refused=BROKEN, finished=False)

    async def _run(self) -> CheckpointReport:
        # The vault first: whatever it held at that moment was in the state before, and the state is read after.
        published = await self._vault.latest()
        known = await self._log.state()
        # The sums last, so that no epoch is of a moment before the one it follows; and beside all else, which halves
        # what a quiet run waits for.
        (log, news), (totals, raised) = await both(self._read(published, known), self._balance())
        over = raised - {UNBALANCED} if totals.drift_micros else raised
        await all_of(self._log.clear_alarm(name) for name in over)
        if totals.drift_micros:
            return await self._refuse(log.state, totals)
        await self._log_all(log, news, totals)
        state, heads = log.state, len(news.statements)
        write_line("INFO", "checkpoint", size=state.size, epoch=state.epoch, heads=heads)
        return CheckpointReport(state.size, state.epoch, heads, 0, None, news.finished)

    async def _balance(self) -> tuple[Totals, frozenset[str]]:
        """Whether the books balance, and which alarms were raised because they did not, or the log did not hold."""
        return await both(self._sums.totals(), self._log.alarms_raised((BROKEN, UNBALANCED)))

    async def _read(self, published: Published | None, known: KnownState) -> tuple[_Open, News]:
        log = await self._open(published, known)
        return log, await self._news(log.state)

    async def _open(self, published: Published | None, known: KnownState) -> _Open:
        """The log, once it is sure that nothing was taken from it. Raise what `run` calls broken."""
        state = known.state
        if published and published.size > state.size:
            raise LogBroken(f"the vault has a checkpoint of size {published.size}, the log only {state.size}")
        if published and published.size == state.size and published.note != state.note:
            raise VaultConflict(f"the vault has another checkpoint of size {published.size} than the log")
        edge = checked_edge(state, await self._log.tiles(tiles_to_extend(state.size)), self._signer.verifier_key)
        if state.note and (published is None or published.size < state.size):
            # A run died between its append and its publishing; nothing was signed since.
            await self._vault.publish(state.size, state.note)
        return _Open(state, known.version, edge)

    async def _refuse(self, state: LogState, totals: Totals) -> CheckpointReport:
        """Books that do not balance are never signed, and nothing is logged until they do."""
        sums = {
            "accounts": totals.accounts,
            "balances_micros": totals.balances_micros,
            "unsettled_micros": totals.unsettled_micros,
            "drift_micros": totals.drift_micros,
        }
        write_line("CRITICAL", UNBALANCED, **sums)
        await self._log.raise_alarm(UNBALANCED, sums)
        return CheckpointReport(state.size, state.epoch, 0, totals.drift_micros, refused=UNBALANCED, finished=False)

    async def _news(self, state: LogState) -> News:
        """Statements about all accounts that were posted to since they were last stated. Raise LogBroken."""
        at_ms = self._clock()
        if any(stamp.lies_ahead(at_ms) for stamp in state.cursors.values()):
            # Nothing would ever be stated again, and what is not stated can be rewritten.
            raise LogBroken("the log's state says that accounts were read which cannot have been posted to yet")
        news = News(state.cursors, self._limits.heads_max)
        # Another band goes first each minute, so that no band always meets a run that is used up.
        first = at_ms // 60_000 % BANDS
        bands = [*range(first, BANDS), *range(first)]
        while bands:
            # A page of each band together: most runs are quiet, and two reads then tell all that they need.
            pages = await all_of(self._changed_after(band, news.read_until.get(band)) for band in bands)
            taken = [news.take(band, page) for band, page in zip(bands, pages, strict=True)]
            await self._state(news, [account_id for account_ids in taken for account_id in account_ids], at_ms)
            most = self._limits.page_accounts_max
            bands = [band for band, account_ids in zip(bands, taken, strict=True) if len(account_ids) == most]
        return news

    async def _changed_after(self, band: int, after: Stamp | None) -> Changes:
        return await self._archive.changed_after(lanes_of(band), after, self._limits.page_accounts_max)

    async def _state(self, news: News, account_ids: Sequence[AccountId], at_ms: int) -> None:
        """Add a statement for each account of which there is something new to say."""
        if not account_ids:
            return
        heads, logged = await both(self._heads(account_ids), self._log.logged(account_ids))
        for account_id, head in heads.items():
            if head.seq and is_news(head, logged.get(account_id)):
                news.statements[account_id] = Statement(account_id, head.seq, head.hash, head.balance_micros, at_ms)

    async def _heads(self, account_ids: Sequence[AccountId]) -> Mapping[AccountId, Head]:
        """The heads as they stand. One that cannot be read is left out: its audit alarms, and the others go on."""
        try:
            seen = await self._ledger.read(account_ids, ())
        except ChainBroken as error:
            if len(account_ids) == 1:
                write_line("CRITICAL", "log_head_unreadable", account=account_ids[0], reason=error.reason)
                return {}
            middle = len(account_ids) // 2
            return {**await self._heads(account_ids[:middle]), **await self._heads(account_ids[middle:])}
        return {name: known.head for name, known in seen.heads.items() if known.head is not None}

    async def _log_all(self, log: _Open, news: News, totals: Totals) -> None:
        """Append the statements, as many commits as they need, each with an epoch record and signed."""
        most = self._limits.commit_statements_max
        statements = list(news.statements.values())
        *parts, last = [statements[at : at + most] for at in range(0, len(statements), most)] or [[]]
        for part in parts:
            # The cursors stay: if we die after it, the next run meets these accounts again and finds them logged.
            await self._append(log, part, totals, log.state.cursors)
        await self._append(log, last, totals, news.cursors)

    async def _append(
        self, log: _Open, statements: Sequence[Statement], totals: Totals, cursors: Mapping[int, Stamp]
    ) -> None:
        record = Epoch(
            log.state.epoch + 1,
            totals.accounts,
            totals.balances_micros,
            totals.unsettled_micros,
            len(statements),
            self._clock(),
        )
        whole = append_epoch(log.state, log.edge, statements, record)
        origin = self._signer.verifier_key.name
        checkpoint = Checkpoint(origin, whole.state.size, bytes.fromhex(whole.state.root))
        note = await sign_note(checkpoint.text, self._signer)
        await self._commit(log, signed(whole, note, cursors))
        # If we die here, the signed note stands in the log's state, and the next run publishes it before it signs.
        await self._vault.publish(log.state.size, log.state.note)

    async def _commit(self, log: _Open, append: Append) -> None:
        """Append, and open the log as it is then. Raise CommitLost when another run was faster."""
        try:
            version = await self._log.append(append, log.version)
        except CommitLost:
            # Either another run was faster or only the answer was lost. A state of this size with this root is this
            # append and no other.
            known: KnownState = await self._log.state()
            if known.state != append.state or known.version is None:
                raise
            version = known.version
        edge = edge_after(append.state.size, log.edge, append.tiles)
        log.state, log.version, log.edge = append.state, version, edge
