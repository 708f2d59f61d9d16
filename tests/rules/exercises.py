"""Every query of ours, sent once by the store that sends it: a store that gains a query gains an exercise here."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from google.cloud.firestore import AsyncClient
from langgraph.checkpoint.conformance.test_utils import generate_checkpoint, generate_metadata
from msgspec.structs import replace

from shared.agents.models import JobId
from shared.agents.saver import FirestoreSaver
from shared.agents.store import FirestoreJobs
from shared.base.ids import AccountId, UserId
from shared.cards.models import CardId
from shared.cards.store import SESSION_VIEWS, FirestoreCards
from shared.catalog.store import FirestoreModels
from shared.conversations.memory_store import Memories
from shared.conversations.models import Caller, ConversationId
from shared.conversations.store import FirestoreConversations
from shared.ledger.archive import PAGE_ENTRIES_MAX, FirestoreLedgerArchive, Stamp
from shared.ledger.income import PAGE_ENTRIES, FirestoreIncome
from shared.ledger.lapsed import FirestoreLapsed
from shared.ledger.marks import FirestoreAuditMarks
from shared.ledger.memory import MemoryLedgerStore
from shared.ledger.sales import FirestoreSales
from shared.ledger.windows import FirestoreLedgerWindows
from shared.payments.models import OrderId, PaymentId, RailName
from shared.payments.waiting import FirestoreReviews, FirestoreWaitingEvents
from shared.payouts.models import Payout, PayoutId, PayoutState
from shared.payouts.store import FirestorePayouts, FirestorePurchases, FirestoreRecipients
from shared.pools.models import InvitationId, PoolId
from shared.pools.session_store import FirestoreSessions
from shared.pools.store import FirestorePools
from shared.proof.log import LoggedHead, Statement
from shared.proof.store import PAGE_STATEMENTS_MAX, FirestoreLogStore, logged_document, statement_id
from shared.proof.sums import FirestoreEpochSums, Totals
from shared.reconciliation.orders import FirestorePaidOrders, Place
from shared.reconciliation.store import FirestoreBooks, FirestoreHouseBooks
from shared.reconciliation.sums import FirestoreDeferredHeads
from shared.reconciliation.tickets import FirestoreTickets
from shared.reconciliation.transfers import FirestoreEarnerPayouts
from shared.resources.complaint_store import FirestoreComplaints
from shared.resources.models import ComplaintId, KeyId
from shared.resources.store import FirestoreKeys
from shared.shelf.models import LeaseId
from shared.shelf.store import FirestoreShelf
from tests.agents.plain import PlainCommits
from tests.ledger.builders import Ticker, opened

ALICE = AccountId("user:alice")
PAYOUT = Payout(
    payout_id=PayoutId("p1"),
    owner=UserId("alice"),
    micros=1,
    amount_minor=1,
    currency="USD",
    destination="acct_1",
    state=PayoutState.PAID,
    asked_at_ms=1,
    is_first=False,
)
EARNER = AccountId("earn:alice")
STAMP = Stamp(datetime(2026, 1, 1, tzinfo=UTC), ALICE)


async def _entries_of_two_pages(client: AsyncClient) -> None:
    # The second page asks for what comes after a document, which adds the name to the order.
    batch = client.batch()
    for seq in range(1, PAGE_ENTRIES_MAX + 2):
        batch.set(client.document(f"accounts/{ALICE}/entries/{seq}"), {"seq": seq})
    await batch.commit()

    found = [entry_id async for entry_id, _ in FirestoreLedgerArchive(client).entry_documents(ALICE)]
    assert len(found) == PAGE_ENTRIES_MAX + 1


async def _entries_of_a_window(client: AsyncClient) -> None:
    windows = FirestoreLedgerWindows(client)
    assert [ref async for ref, _ in windows.entries_between(1, STAMP.posted_at, STAMP.posted_at)] == []
    horizons = await windows.horizons()
    assert [ref async for ref, _ in windows.entries_beyond(replace(horizons, settled_until={1: STAMP.posted_at}))] == []


async def _accounts_with_expired_credits(client: AsyncClient) -> None:
    assert await FirestoreLapsed(client).expired(1, 1, 10) == []


async def _sales_of_a_payee(client: AsyncClient) -> None:
    sales = FirestoreSales(client)
    assert [ref async for ref, _ in sales.since(AccountId("earn:x"), STAMP.posted_at, STAMP.posted_at)] == []


async def _statements_of_two_pages(client: AsyncClient) -> None:
    for start in range(0, PAGE_STATEMENTS_MAX + 1, 500):
        batch = client.batch()
        for seq in range(start, min(start + 500, PAGE_STATEMENTS_MAX + 1)):
            head = LoggedHead(Statement(ALICE, seq, "0" * 64, 0, 0), seq)
            batch.set(client.document(f"log_heads/{ALICE}/statements/{statement_id(seq)}"), logged_document(head))
        await batch.commit()

    assert len([head async for head in FirestoreLogStore(client).statements()]) == PAGE_STATEMENTS_MAX + 1


async def _epoch_sums(client: AsyncClient) -> None:
    await client.document(f"accounts/{ALICE}").set({"balance_micros": -5})

    assert await FirestoreEpochSums(client, FirestoreLedgerWindows(client)).totals() == Totals(1, -5, 0)


async def _cards_of_two_pages(client: AsyncClient) -> None:
    assert await FirestoreCards(client).owned_by(UserId("alice"), after=None) == []
    assert await FirestoreCards(client).owned_by(UserId("alice"), after=CardId("a" * 12)) == []


async def _books_of_providers(client: AsyncClient) -> None:
    books = FirestoreBooks(client)
    await books.booked_on(RailName.STRIPE, "2026-01-01", None)
    await books.booked_on(RailName.STRIPE, "2026-01-01", "txn_1")
    await books.booked_for(RailName.STRIPE, [PaymentId("pi_1")])
    await books.day_books("2026-01-01", "2026-01-31")
    await FirestoreHouseBooks(client).between("2026-01-01", "2026-01-31")


async def _what_waits_for_a_person(client: AsyncClient) -> None:
    for after in (None, "0" * 64):
        await FirestoreReviews(client).open(after)
        await FirestoreTickets(client).open(after)
    await FirestoreWaitingEvents(client).due(at_ms=1)


async def _orders_paid_on_a_day(client: AsyncClient) -> None:
    orders = FirestorePaidOrders(client)
    assert await orders.paid_between(RailName.STRIPE, 1, 2, None) == []
    assert await orders.paid_between(RailName.STRIPE, 1, 2, Place(1, OrderId("a"))) == []


async def _payouts_to_earners(client: AsyncClient) -> None:
    payouts = FirestoreEarnerPayouts(client)
    assert await payouts.sent_by(["tr_1"]) == {}
    assert await payouts.asked_between(1, 2, None) == []
    assert await payouts.asked_between(1, 2, PAYOUT) == []


async def _deferred_heads(client: AsyncClient) -> None:
    heads = FirestoreDeferredHeads(client)
    assert [name async for name, _ in heads.of_class("earn", None)] == []
    await client.document(f"accounts/{ALICE}").set({"balance_micros": -5})
    written = await client.document(f"accounts/{ALICE}").get()
    assert await heads.balances_micros(written.read_time) == -5


async def _contributed_keys(client: AsyncClient) -> None:
    # The second page asks for what comes after a document, which adds the name to the order.
    keys = FirestoreKeys(client)
    for after in (None, KeyId("a" * 12)):
        assert await keys.owned_by(UserId("alice"), after=after) == []
        assert await keys.of_provider("standin", after=after) == []
        assert await keys.all(after=after) == []
    assert await keys.due(1) == []
    assert await keys.open_of(UserId("alice"), 5) == 0
    complaints = FirestoreComplaints(client, keys)
    for complaint in (None, ComplaintId("0" * 64)):
        assert await complaints.open(after=complaint) == []


async def _what_the_shelf_asks(client: AsyncClient) -> None:
    shelf = FirestoreShelf(client)
    assert await shelf.active() == []
    assert await shelf.due(1, 10) == []
    assert await shelf.served_micros(LeaseId("lse_1")) == 0


async def _pools_and_their_members(client: AsyncClient) -> None:
    pools = FirestorePools(client)
    for after in (None, PoolId("a" * 12)):
        assert await pools.public(after=after) == []
        assert await pools.closing(after=after) == []
    assert await pools.members(PoolId("a" * 12)) == []
    assert await pools.joined_by(UserId("alice")) == []
    for invitation in (None, InvitationId("a" * 12)):
        assert await pools.invitations(PoolId("a" * 12), after=invitation) == []


async def _sessions_that_must_end(client: AsyncClient) -> None:
    sessions = FirestoreSessions(client, views=SESSION_VIEWS)
    for after in (None, CardId("a" * 12)):
        assert await sessions.owned_by(UserId("alice"), after=after) == []
        assert await sessions.closing(after=after) == []
    for owner in (None, UserId("alice")):
        for after in (None, CardId("a" * 12)):
            assert await sessions.unended(PoolId("a" * 12), owner, after=after) == []
    assert await sessions.overdue(1) == []


async def _jobs_of_agents(client: AsyncClient) -> None:
    jobs = FirestoreJobs(client)
    assert await jobs.owned_by(UserId("alice"), before_ms=None) == []
    assert await jobs.owned_by(UserId("alice"), before_ms=1) == []
    assert await jobs.abandoned(1, count_max=10) == []
    assert await jobs.events(JobId("job_x"), after=3, count_max=10) == []
    assert await jobs.traces(JobId("job_x"), count_max=10) == []


async def _checkpoints_of_graphs(client: AsyncClient) -> None:
    saver = FirestoreSaver(client, PlainCommits(client))
    thread = {"thread_id": "t", "checkpoint_ns": ""}
    await saver.aput({"configurable": thread}, generate_checkpoint(), generate_metadata(), {})
    assert await saver.aget_tuple({"configurable": thread}) is not None
    before: Any = {"configurable": {"checkpoint_id": "~"}}
    for config in ({"configurable": thread}, {"configurable": {"thread_id": "t"}}, None):
        assert len([one async for one in saver.alist(config, before=before)]) == 1  # type: ignore[arg-type]


async def _payouts(client: AsyncClient) -> None:
    store = FirestorePayouts(client)
    assert await store.due(at_ms=1) == []
    assert await store.owned_by(UserId("alice"), after=PayoutId("a" * 24)) == []
    for after in (None, PayoutId("a" * 24)):
        assert await store.waiting(after=after) == []


async def _income_of_two_pages(client: AsyncClient) -> None:
    memory = MemoryLedgerStore(Ticker())
    await opened(memory, paid=1, accounts=(EARNER,))
    [document] = [one for one in memory.entries.values() if one["seq"] == 2]
    batch = client.batch()
    for seq in range(PAGE_ENTRIES + 1):
        batch.set(client.document(f"accounts/{EARNER}/entries/{seq}"), {**document, "seq": seq})
    await batch.commit()

    found = await FirestoreIncome(client).since(EARNER, datetime.fromtimestamp(0, UTC))
    assert len(found or ()) == PAGE_ENTRIES + 1


async def _conversations_and_memories(client: AsyncClient) -> None:
    conversations, memories = FirestoreConversations(client), Memories(client)
    assert await conversations.messages(ConversationId("c"), after=0, count_max=10) == []
    assert await conversations.said(ConversationId("c"), after=0, before=9, count_max=10) == []
    assert await conversations.page(ConversationId("c"), after=0) == []
    for after in (None, ConversationId("c")):
        for is_card in (False, True):
            caller = Caller(UserId("alice"), AccountId("card:a"), is_card)
            assert await conversations.seen_by(caller, after=after) == []
    assert await conversations.count_of(AccountId("user:alice"), count_max=10) == 0
    await conversations.erase(ConversationId("c"))
    assert await memories.of(UserId("alice")) == []


EXERCISES: dict[str, Callable[[AsyncClient], Awaitable[Any]]] = {
    "archive entries": _entries_of_two_pages,
    "archive head and count": lambda client: FirestoreLedgerArchive(client).head_and_count(ALICE),
    "archive account count": lambda client: FirestoreLedgerArchive(client).account_count(),
    "archive changes": lambda client: FirestoreLedgerArchive(client).changed_after(range(16), None, 10),
    "archive changes after a stamp": lambda client: FirestoreLedgerArchive(client).changed_after(range(16), STAMP, 10),
    "oldest entry of a band": lambda client: FirestoreLedgerWindows(client).first_committed_at(0, STAMP.posted_at),
    "entries of a window": _entries_of_a_window,
    "accounts with expired credits": _accounts_with_expired_credits,
    "sales of a payee": _sales_of_a_payee,
    "epoch sums": _epoch_sums,
    "log's statements": _statements_of_two_pages,
    "log's first statement": lambda client: FirestoreLogStore(client).first_statement(ALICE, 3),
    "cards of an owner": _cards_of_two_pages,
    "cards that close": lambda client: FirestoreCards(client).closing(after=CardId("a" * 12)),
    "pools and their members": _pools_and_their_members,
    "sessions that must end": _sessions_that_must_end,
    "models edited since": lambda client: FirestoreModels(client).edited_since(None),
    "books of providers": _books_of_providers,
    "reviews, tickets and events that wait": _what_waits_for_a_person,
    "orders paid on a day": _orders_paid_on_a_day,
    "conversations and memories": _conversations_and_memories,
    "jobs of agents": _jobs_of_agents,
    "checkpoints of graphs": _checkpoints_of_graphs,
    "payouts to earners": _payouts_to_earners,
    "deferred heads": _deferred_heads,
    "payouts of an owner": lambda client: FirestorePayouts(client).was_paid(UserId("alice")),
    "contributed keys": _contributed_keys,
    "keys and leases of the shelf": _what_the_shelf_asks,
    "payouts that are due, and pages of them": _payouts,
    "recipients by account": lambda client: FirestoreRecipients(client).find_by("acct_1"),
    "orders of an owner": lambda client: FirestorePurchases(client).of(UserId("alice")),
    "income of two pages": _income_of_two_pages,
    "open alarms": lambda client: FirestoreAuditMarks(client).open_alarms(10),
}
