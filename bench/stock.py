"""A debit as one would write it with google-cloud-firestore alone: read, decide and write inside its transaction.

It decides with our own rules and writes our own documents, so that only the way to the store differs. Both documents
are fetched in one call, which is as few as this way can do with.
"""

from google.cloud import firestore

from shared.base.ids import AccountId
from shared.ledger.documents import entry_document, head_document, head_from
from shared.ledger.errors import KeyReused
from shared.ledger.postings import Debit


async def debit_stock(client: firestore.AsyncClient, debit: Debit) -> None:
    """Post the debit. Raise whatever the library does when its own five attempts are used up."""
    head_ref = client.collection("accounts").document(debit.account_id)
    entry_ref = head_ref.collection("entries").document(debit.entry_id)
    await _debit(client.transaction(), client, head_ref, entry_ref, debit)


@firestore.async_transactional
async def _debit(
    transaction: firestore.AsyncTransaction,
    client: firestore.AsyncClient,
    head_ref: firestore.AsyncDocumentReference,
    entry_ref: firestore.AsyncDocumentReference,
    debit: Debit,
) -> None:
    seen = {snapshot.id: snapshot async for snapshot in client.get_all([head_ref, entry_ref], transaction=transaction)}
    if seen[entry_ref.id].exists:
        raise KeyReused
    account_id = AccountId(head_ref.id)
    # Raises CreditTooLow: the check of the balance.
    step = debit.apply({account_id: head_from(account_id, seen[head_ref.id].to_dict() or {})})
    head, entry = step.heads[0], step.entries[0]
    transaction.update(head_ref, {**head_document(head), "posted_at": firestore.SERVER_TIMESTAMP})
    transaction.create(entry_ref, {**entry_document(entry), "committed_at": firestore.SERVER_TIMESTAMP})
