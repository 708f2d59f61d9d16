"""Payouts to earners against the transfers that a provider shows: `payouts/{payout}` of shared.payouts, read only."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from google.api_core import exceptions as google_errors
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from shared.payments.errors import PaymentsUnavailable
from shared.payments.models import PaymentId, RailName
from shared.payouts.models import Payout, PayoutId, PayoutState
from shared.payouts.store import payout_from
from shared.reconciliation.days import day_of
from shared.reconciliation.models import Difference, Line, LineKind, SubjectKind, Thing, TicketKind

TIMEOUT_S = 10.0
PAGE_PAYOUTS_MAX = 100
IN_MAX = 30
"""Values that Firestore takes in one `in`."""
_BACK = (PayoutState.REVERSED, PayoutState.FAILED, PayoutState.HELD, PayoutState.REFUSED)
"""States of a payout whose money came back: it was given up, or is to be sent again."""


class EarnerPayouts(Protocol):
    """What reconciliation asks of the store of payouts. All raise PaymentsUnavailable."""

    async def named(self, payout_ids: Iterable[PayoutId]) -> Mapping[PayoutId, Payout]:
        """Those of the payouts that there are."""

    async def sent_by(self, transfer_ids: Sequence[str]) -> Mapping[str, Payout]:
        """By transfer, the payout that it was made for, for those that are ours."""

    async def asked_between(self, start_ms: int, end_ms: int, after: Payout | None) -> Sequence[Payout]:
        """A page of payouts by when they were asked for; one that is not full is the last."""


class FirestoreEarnerPayouts:
    """The same in Firestore."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._client = client

    async def named(self, payout_ids: Iterable[PayoutId]) -> Mapping[PayoutId, Payout]:
        references = [self._client.collection("payouts").document(name) for name in payout_ids]
        if not references:
            return {}
        try:
            found = self._client.get_all(references, retry=None, timeout=TIMEOUT_S)
            return {PayoutId(one.id): _payout(one) async for one in found if one.exists}
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error

    async def sent_by(self, transfer_ids: Sequence[str]) -> Mapping[str, Payout]:
        found: dict[str, Payout] = {}
        payouts = self._client.collection("payouts")
        try:
            for at in range(0, len(transfer_ids), IN_MAX):
                names = list(transfer_ids[at : at + IN_MAX])
                query = payouts.where(filter=FieldFilter("transfer_id", "in", names))
                async for one in query.stream(retry=None, timeout=TIMEOUT_S):
                    payout = _payout(one)
                    found[str(payout.transfer_id)] = payout
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error
        return found

    async def asked_between(self, start_ms: int, end_ms: int, after: Payout | None) -> Sequence[Payout]:
        query = (
            self._client.collection("payouts")
            .where(filter=FieldFilter("asked_at_ms", ">=", start_ms))
            .where(filter=FieldFilter("asked_at_ms", "<", end_ms))
            .order_by("asked_at_ms")
            .order_by("__name__")
        )
        if after is not None:
            query = query.start_after({"asked_at_ms": after.asked_at_ms, "__name__": after.payout_id})
        try:
            stream = query.limit(PAGE_PAYOUTS_MAX).stream(retry=None, timeout=TIMEOUT_S)
            return [_payout(found) async for found in stream]
        except google_errors.GoogleAPICallError as error:
            raise PaymentsUnavailable from error


def _payout(found: Any) -> Payout:
    return payout_from(PayoutId(found.id), found.to_dict() or {})


def kept_under(payout_id: str) -> PaymentId:
    """Under which name, beside those of payments, the lines of a payout are kept."""
    return PaymentId(f"payout-{payout_id}")


def of_transfer(line: Line, payout: Payout | None) -> tuple[TicketKind, str, str] | None:
    """How our payout differs from a transfer, or from its way back. None for one that is nobody's of ours."""
    if line.kind is not LineKind.TRANSFER or (line.earner_payout is None and payout is None):
        return None
    money = f"{line.money.amount_minor} {line.money.currency}" if line.money else str(line.amount_minor)
    theirs = f"transfer {line.about}: {money}"
    if payout is None:
        return TicketKind.MISSING_HERE, "no such payout", theirs
    ours = told_payout(payout)
    if line.amount_minor > 0:
        is_known = payout.state in _BACK or payout.transfer_id != line.about
        return None if is_known else (TicketKind.MISSING_HERE, ours, f"{theirs}, came back")
    if line.money is not None and line.money.currency != payout.currency:
        return TicketKind.CURRENCY_DIFFERS, ours, theirs
    if line.money is not None and line.money.amount_minor != payout.amount_minor:
        return TicketKind.AMOUNT_DIFFERS, ours, theirs
    if payout.transfer_id == line.about:
        has_come_back = line.is_void and payout.state is PayoutState.PAID
        return (TicketKind.MISSING_HERE, ours, f"{theirs}, came back") if has_come_back else None
    if line.is_void:
        return None
    if payout.transfer_id is not None:
        return TicketKind.PAID_TWICE, f"{ours} by transfer {payout.transfer_id}", theirs
    return TicketKind.MISSING_HERE, ours, theirs


def of_paid_payout(rail: RailName, payout: Payout, lines: Iterable[Line]) -> Difference | None:
    """A payout that is paid by our books and that the provider does not show."""
    if payout.state is not PayoutState.PAID:
        return None
    if any(line.kind is LineKind.TRANSFER and line.about == payout.transfer_id for line in lines):
        return None
    return Difference(
        rail=rail,
        thing=Thing(SubjectKind.EARNER_PAYOUT, payout.payout_id, day_of(payout.asked_at_ms)),
        kind=TicketKind.MISSING_THERE,
        currency=payout.currency,
        ours=f"{told_payout(payout)} by transfer {payout.transfer_id}",
        theirs="no such line",
    )


def told_payout(payout: Payout) -> str:
    """A payout for whoever reads a ticket."""
    return f"payout {payout.payout_id}: {payout.amount_minor} {payout.currency}, {payout.state.value}"
