"""Puts into a local deployment what cannot come about here: paid credits, earnings, settlements, old prices, doubts."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping

from shared.app import App
from shared.base.ids import AccountId, EntryId, HoldId, UserId
from shared.base.merkle import EMPTY_ROOT
from shared.base.settings import Settings
from shared.ledger.postings import OpenAccount
from shared.ledger.settling import Folded, Settle, Window
from shared.metering.models import DEMAND_NEUTRAL_PPM
from shared.payments.models import RailName, Review
from shared.payments.store import review_id
from shared.pricing.models import Advanced, DemandState, Hour, ModelDemand
from shared.pricing.rules import HOUR_S, WINDOW_S
from shared.reconciliation.models import Difference, SubjectKind, Thing, TicketKind
from shared.reconciliation.rules import ticket_id
from shared.resources.models import KEY_FACT, ContributedKey, HealthEvent, KeyStatus
from shared.resources.rules import key_id_of, shares_of

Post = Callable[[App], Awaitable[None]]


class Treasury:
    """Posts to one deployment's ledger with the functions' own code."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)

    def grant_paid(self, uid: str, amount_micros: int) -> None:
        """Put paid credits on a person's wallet, which must be open."""

        async def post(app: App) -> None:
            await app.ledger.grant_paid(
                AccountId(f"user:{uid}"), amount_micros, key=f"treasury:{secrets.token_hex(8)}", facts={}
            )

        self._run(post)

    def grant_earnings(self, uid: str, amount_micros: int) -> None:
        """Put paid credits on a person's earnings, in place of sales that a settlement would have posted there."""
        account_id = AccountId(f"earn:{uid}")

        async def post(app: App) -> None:
            await app.ledger_engine.run(OpenAccount(account_id=account_id, at_ms=0))
            await app.ledger.grant_paid(account_id, amount_micros, key=f"treasury:{secrets.token_hex(8)}", facts={})

        self._run(post)

    def settle_nothing(self, uid: str) -> EntryId:
        """Post a settlement of no sales to a person's earnings, in the first window there was; its id."""
        account_id = AccountId(f"earn:{uid}")
        folded = Folded(account_id, 0, (), EMPTY_ROOT.hex())
        settle = Settle(account_id=account_id, window=Window(0, 0), folded=folded, at_ms=0)

        async def post(app: App) -> None:
            await app.ledger_engine.run(OpenAccount(account_id=account_id, at_ms=0))
            await app.ledger_engine.run(settle)

        self._run(post)
        return settle.entry_id

    def record_prices(self, model_id: str, demand_ppm: int = DEMAND_NEUTRAL_PPM) -> None:
        """Let a model's price be multiplied so from now on, and have been for the last hour."""

        async def post(app: App) -> None:
            known = await app.price_store.demand()
            until_s = known.read_at_s - known.read_at_s % WINDOW_S - WINDOW_S
            hour = Hour(until_s - until_s % HOUR_S - HOUR_S, demand_ppm, demand_ppm, demand_ppm, 1)
            model = ModelDemand(demand_ppm, until_s, usual_micros=1, windows=1, hour=hour)
            state = DemandState(max(until_s, known.state.until_s + 1), {**known.state.models, model_id: model})
            await app.price_store.commit(Advanced(state, {model_id: hour}), known.version)

        self._run(post)

    def serve_by_key(self, uid: str) -> EntryId:
        """Charge a person for a call that somebody's contributed key served; the receipt's id."""
        wallet, name = AccountId(f"user:{uid}"), secrets.token_hex(8)
        key = ContributedKey(
            id=key_id_of(UserId("contributor"), name),
            owner=UserId("contributor"),
            provider="standin",
            host="standin.example",
            models=("google/gemma-2-2b-it",),
            quota_micros=1_000_000,
            status=KeyStatus.ACTIVE,
            fingerprint=name,
        )
        facts = {KEY_FACT: key.id, "model": key.models[0]}
        receipts: list[EntryId] = []

        async def post(app: App) -> None:
            event = HealthEvent(what="deposited", why="", at_ms=app.clock())
            await app.key_store.create(key, event, instead_of=None)
            await app.ledger.hold(wallet, 1_000, hold_id=HoldId(name))
            posted = await app.ledger.capture(wallet, HoldId(name), 1_000, facts=facts, shares=shares_of(key))
            receipts.append(posted.entry.entry_id)

        self._run(post)
        return receipts[0]

    def put_up_for_review(self) -> str:
        """Put something before a person; the review's id."""
        review = Review(
            rail=RailName.STRIPE,
            reason="object_unknown",
            subject=secrets.token_hex(8),
            order_id=None,
            expected="charge",
            found="resource_missing",
        )

        async def post(app: App) -> None:
            await app.payment_store.keep_review(review, at_ms=app.clock())

        self._run(post)
        return review_id(review)

    def open_a_ticket(self) -> str:
        """Write down a difference that nobody will ever settle; the ticket's id."""
        thing = Thing(SubjectKind.LEDGER, secrets.token_hex(8), "2026-01-01")
        difference = Difference(
            rail=RailName.STRIPE, thing=thing, kind=TicketKind.AMOUNT_DIFFERS, currency="", ours="1", theirs="2"
        )

        async def post(app: App) -> None:
            await app.tickets.note([difference], at_ms=app.clock())

        self._run(post)
        return ticket_id(difference)

    def _run(self, post: Post) -> None:
        # The client library reads the emulator's address from the process's own environment.
        os.environ["FIRESTORE_EMULATOR_HOST"] = self._environment["FIRESTORE_EMULATOR_HOST"]
        asyncio.run(self._posted(post))

    async def _posted(self, post: Post) -> None:
        await post(App(Settings.from_environment(self._environment)))
