"""Somebody who can write the database, for the demo: a copy of an account in which one call looks a tenth as dear."""

import os

from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from local.people import Person
from local.stack import Stack
from shared.ledger.models import EntryKind


def forge_copy(stack: Stack, person: Person, project: str, copy_project: str) -> str:
    """Copy the account's raw documents to another project and lower one charge there, balance and all.

    The id of the charge; empty when there is none.
    """
    os.environ["FIRESTORE_EMULATOR_HOST"] = stack.firestore_address
    account = f"accounts/user:{person.uid}"
    original = firestore.Client(project=project, credentials=AnonymousCredentials())
    copy = firestore.Client(project=copy_project, credentials=AnonymousCredentials())
    copy.document(account).set(original.document(account).get().to_dict())
    forged = ""
    for snapshot in original.collection(f"{account}/entries").stream():
        entry = snapshot.to_dict() or {}
        if entry["kind"] == EntryKind.CAPTURE.value and not forged:
            forged = snapshot.id
            refund = -entry["delta_micros"] - (-entry["delta_micros"] // 10)
            entry["delta_micros"] += refund
            entry["balance_micros"] += refund
            entry["lots"][0]["delta_micros"] += refund
            entry["legs"][0]["amount_micros"] -= refund
        copy.document(f"{account}/entries/{snapshot.id}").set(entry)
    return forged
