"""The chain as books: every transfer of the token to our address or from it, and what the address has.

A UTC day is the blocks whose time lies in it, and is read once all of them are final. Both ways to pay on a chain lead
to the same address, so they share these books. What leaves it goes to a bank or to a buyer; a chain cannot tell.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.base.log import write_line
from shared.base.together import all_of, both
from shared.chain.errors import CallRefused, ChainUnavailable
from shared.chain.models import UNITS_PER_CENT, Block, Digest, Moved, Receipt, Token
from shared.chain.node import BLOCKS_MAX
from shared.chain.rules import payment_id_of
from shared.payments.crypto.rules import CURRENCY, is_worth_a_look
from shared.payments.errors import RailUnavailable
from shared.payments.models import Money, PaymentId, RailName, Subject
from shared.reconciliation.days import end_ms, start_ms
from shared.reconciliation.models import BankPayout, Line, LineKind, Page
from shared.reconciliation.statements import PAGE_LINES_MAX

ASSET = "USDC"
"""The currency of these books, in units of which a dollar has a million."""
ASKED_AT_ONCE_MAX = 10
"""Receipts and blocks that a page needs beside its logs."""
DAYS_KNOWN_MAX = 16
"""Whose blocks one process remembers: a run looks at fewer."""
_NAME = "The chain"


class ChainNode(Protocol):
    """What these books ask of a node. All raise ChainUnavailable."""

    async def find_receipt(self, transaction: Digest) -> Receipt | None: ...

    async def find_block(self, number: int) -> Block | None: ...

    async def finalized(self) -> Block: ...

    async def moved(self, token: Token, *, from_block: int, to_block: int) -> list[Moved]: ...

    async def balance(self, token: Token, *, at_block: int) -> int: ...


class _Blocks(Struct, frozen=True):
    """A day's blocks. There is none where the first is after the last."""

    first: int
    last: int


class ChainStatements:
    """What the chain shows of our address."""

    name = RailName.CRYPTO
    sells: tuple[RailName, ...] = (RailName.CRYPTO, RailName.X402)
    recounts = False
    pays_earners = False
    tells_payouts = False

    def __init__(self, node: ChainNode, token: Token) -> None:
        self._node = node
        self._token = token
        self._days: dict[str, _Blocks] = {}

    async def lines(self, day: str, cursor: str | None) -> Page:
        try:
            return await self._lines(day, cursor)
        except ChainUnavailable as error:
            raise RailUnavailable(_NAME) from error

    async def line(self, line_id: str) -> Line | None:
        transaction, _, index = line_id.rpartition("-")
        try:
            receipt = await self._node.find_receipt(Digest(transaction))
            if receipt is None:
                return None
            listed = await self._node.moved(self._token, from_block=receipt.block, to_block=receipt.block)
            same = [one for one in listed if one.transaction == transaction and str(one.log_index) == index]
            return (await self._told(same))[0] if same else None
        except ChainUnavailable as error:
            raise RailUnavailable(_NAME) from error

    async def bank_payouts(self, day: str) -> tuple[BankPayout, ...]:
        return ()

    async def bank_payout(self, payout_id: str) -> BankPayout | None:
        return None

    async def payout_lines(self, payout_id: str, cursor: str | None) -> Page:
        return Page((), None)

    async def balances(self, day: str) -> Mapping[str, int] | None:
        try:
            blocks = await self._blocks_of(day)
            return {ASSET: await self._node.balance(self._token, at_block=blocks.last)}
        except CallRefused as refusal:
            # A node that keeps the state of the last blocks only. An operator sees why nothing is compared.
            write_line("WARNING", "balance_not_told", rail=self.name.value, day=day, reason=refusal.reason)
            return None
        except ChainUnavailable as error:
            raise RailUnavailable(_NAME) from error

    def subject_of(self, line: Line) -> Subject | None:
        """Nothing: a chain knows no orders. Whoever sent it has to say so."""
        return None

    async def _lines(self, day: str, cursor: str | None) -> Page:
        blocks = await self._blocks_of(day)
        block, index = (int(part) for part in cursor.split(":")) if cursor else (blocks.first, 0)
        if block > blocks.last:
            return Page((), None)
        to_block = min(block + BLOCKS_MAX, blocks.last)
        listed = await self._node.moved(self._token, from_block=block, to_block=to_block)
        # Anybody may log a transfer of nothing in our name.
        left = [one for one in listed if (one.block, one.log_index) >= (block, index) and one.amount > 0]
        lines = await self._told(left[:PAGE_LINES_MAX])
        if len(left) > PAGE_LINES_MAX:
            begins = left[PAGE_LINES_MAX]
            return Page(lines, f"{begins.block}:{begins.log_index}")
        return Page(lines, f"{to_block + 1}:0" if to_block < blocks.last else None)

    async def _told(self, listed: Sequence[Moved]) -> tuple[Line, ...]:
        lines: list[Line] = []
        for at in range(0, len(listed), ASKED_AT_ONCE_MAX):
            lines += await all_of(self._line(one) for one in listed[at : at + ASKED_AT_ONCE_MAX])
        return tuple(lines)

    async def _line(self, moved: Moved) -> Line:
        receipt, block = await both(self._node.find_receipt(moved.transaction), self._node.find_block(moved.block))
        log = next((one for one in receipt.logs if one.index == moved.log_index), None) if receipt else None
        if receipt is None or block is None or log is None or receipt.block_hash != block.hash:
            raise ChainUnavailable("a log without its transaction")
        # Less than a cent could be sent for ever; it is counted, and asked after by nobody.
        is_payment = moved.is_received and is_worth_a_look(moved.amount)
        kind = LineKind.PAYMENT if is_payment else LineKind.OTHER if moved.is_received else LineKind.PAYOUT
        payment_id = payment_id_of(receipt, log, self._token)
        return Line(
            line_id=f"{moved.transaction}-{moved.log_index}",
            kind=kind,
            amount_minor=moved.amount if moved.is_received else -moved.amount,
            # Whoever sends pays for it, in another coin.
            fee_minor=0,
            currency=ASSET,
            at_ms=block.at_s * 1000,
            about=payment_id,
            payment_id=PaymentId(payment_id) if is_payment else None,
            money=Money(moved.amount // UNITS_PER_CENT, CURRENCY) if is_payment else None,
            is_ours=is_payment,
        )

    async def _blocks_of(self, day: str) -> _Blocks:
        """Raise ChainUnavailable while the last of them is not final."""
        if day in self._days:
            return self._days[day]
        finalized = await self._node.finalized()
        if finalized.at_s * 1000 < end_ms(day):
            raise ChainUnavailable("the day is not final")
        first = await self._first_since(start_ms(day) // 1000, finalized.number)
        last = await self._first_since(end_ms(day) // 1000, finalized.number) - 1
        if len(self._days) >= DAYS_KNOWN_MAX:
            self._days.clear()
        self._days[day] = _Blocks(first, last)
        return self._days[day]

    async def _first_since(self, at_s: int, until: int) -> int:
        """The first block of that time or later; times never go back along a chain."""
        low, high = 0, until
        while low < high:
            middle = (low + high) // 2
            block = await self._node.find_block(middle)
            if block is None:
                raise ChainUnavailable("a block that is missing")
            low, high = (low, middle) if block.at_s >= at_s else (middle + 1, high)
        return low
