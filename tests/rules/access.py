"""Who may do what with which document and query: the table that the rules are held to."""

from dataclasses import replace
from typing import Any

from tests.rules.database import Query

TABLE = """
what                                     | nobody | alice    | bob      | bob with claims | tricky
-----------------------------------------+--------+----------+----------+-----------------+-------
accounts/user:alice                      | -      | get      | -        | -               | -
accounts/user:bob                        | -      | -        | get      | get             | -
accounts/alice                           | -      | -        | -        | -               | -
accounts/user:alice/entries/first        | -      | get      | -        | -               | -
accounts/user:alice/entries/second       | -      | get      | -        | -               | -
accounts/user:bob/entries/first          | -      | -        | get      | get             | -
accounts/user:alice/entries/first/more/m | -      | -        | -        | -               | -
accounts/user:alice/notes/first          | -      | -        | -        | -               | -
accounts/card:alice                      | -      | get      | -        | -               | -
accounts/card:alice/entries/first        | -      | get      | -        | -               | -
accounts/card:bob                        | -      | -        | get      | get             | -
accounts/card:ghost                      | -      | -        | -        | -               | -
accounts/pool:alice                      | -      | -        | -        | -               | -
accounts/pool:alice/entries/first        | -      | -        | -        | -               | -
accounts/pool:club                       | -      | get      | -        | -               | -
accounts/pool:club/entries/first         | -      | get      | -        | -               | -
accounts/pool:left                       | -      | -        | -        | -               | -
accounts/card:session/entries/first      | -      | -        | -        | -               | -
accounts/escrow:alice                    | -      | -        | -        | -               | -
accounts/escrow:advance-alice            | -      | get      | -        | -               | -
accounts/escrow:advance-alice/entries/e  | -      | get      | -        | -               | -
accounts/escrow:advance-bob              | -      | -        | get      | get             | -
accounts/escrow:advance-ghost            | -      | -        | -        | -               | -
accounts/earn:alice                      | -      | -        | -        | -               | -
accounts/house:revenue                   | -      | -        | -        | -               | -
accounts/house:revenue/entries/first     | -      | -        | -        | -               | -
ad_allowances/user:alice                 | -      | -        | -        | -               | -
ad_transactions/admob:alice              | -      | -        | -        | -               | -
ad_views/alice                           | -      | get      | -        | -               | -
ad_views/bob                             | -      | -        | get      | get             | -
ad_views/alice/more/m                    | -      | -        | -        | -               | -
audit_marks/user:alice                   | -      | -        | -        | -               | -
alarms/alice                             | -      | -        | -        | -               | -
card_records/alice                       | -      | -        | -        | -               | -
sessions/alice                           | -      | get      | -        | -               | -
sessions/bob                             | -      | -        | get      | get             | -
sessions/carol                           | -      | -        | -        | -               | -
session_contexts/alice                   | -      | -        | -        | -               | -
pools/club                               | -      | get      | -        | -               | -
pools/club/pool_members/alice            | -      | get      | -        | -               | -
pools/club/more/m                        | -      | -        | -        | -               | -
pools/left/pool_members/alice            | -      | -        | -        | -               | -
pools/open                               | -      | get      | get      | get             | get
pools/open/pool_members/carol            | -      | -        | -        | -               | -
pool_invites/alice                       | -      | -        | -        | -               | -
cards/alice                              | -      | get      | -        | -               | -
cards/bob                                | -      | -        | get      | get             | -
cards/alice/more/m                       | -      | -        | -        | -               | -
cards/nobody                             | -      | -        | -        | -               | -
contributions/alice                      | -      | get      | -        | -               | -
contributions/bob                        | -      | -        | get      | get             | -
contributions/alice/health/alice         | -      | get      | -        | -               | -
contributions/alice/days/alice           | -      | get      | -        | -               | -
contributions/alice/pending/bob          | -      | -        | get      | get             | -
contributions/alice/windows/alice        | -      | -        | -        | -               | -
contributions/alice/more/m               | -      | -        | -        | -               | -
key_fingerprints/alice                   | -      | -        | -        | -               | -
pool_providers/alice                     | -      | -        | -        | -               | -
pool_providers/alice/history/alice       | -      | -        | -        | -               | -
resources/alice                          | -      | -        | -        | -               | -
resources/alice/complainants/alice       | -      | -        | -        | -               | -
complaints/alice                         | -      | -        | -        | -               | -
depositors/alice                         | -      | -        | -        | -               | -
complainants/alice                       | -      | -        | -        | -               | -
resources/alice/windows/alice            | -      | -        | -        | -               | -
jobs/alice                               | -      | get      | -        | -               | -
jobs/alice/chunks/alice                  | -      | -        | -        | -               | -
jobs/bob                                 | -      | -        | get      | get             | -
jobs/alice/more/m                        | -      | -        | -        | -               | -
jobs/alice/events/00000001               | -      | get      | -        | -               | -
jobs/alice/steps/s                       | -      | get      | -        | -               | -
jobs/alice/artifacts/a                   | -      | get      | -        | -               | -
jobs/alice/graph_checkpoints/c           | -      | -        | -        | -               | -
jobs/alice/graph_writes/w                | -      | -        | -        | -               | -
jobs/alice/graph_blobs/b                 | -      | -        | -        | -               | -
conversations/alice                      | -      | get      | -        | -               | -
conversations/bob                        | -      | -        | get      | get             | -
conversations/alice/messages/alice       | -      | get      | -        | -               | -
conversations/bob/messages/bob           | -      | -        | get      | get             | -
conversations/alice/pictures/alice       | -      | get      | -        | -               | -
conversations/bob/pictures/bob           | -      | -        | get      | get             | -
conversations/alice/turns/alice          | -      | -        | -        | -               | -
conversations/alice/more/m               | -      | -        | -        | -               | -
conversations/nobody/messages/m          | -      | -        | -        | -               | -
decisions/alice                          | -      | get      | -        | -               | -
decisions/bob                            | -      | -        | get      | get             | -
decisions/alice/more/m                   | -      | -        | -        | -               | -
orders/alice                             | -      | get      | -        | -               | -
orders/bob                               | -      | -        | get      | get             | -
orders/alice/more/m                      | -      | -        | -        | -               | -
invoices/alice                           | -      | get      | -        | -               | -
invoices/bob                             | -      | -        | get      | get             | -
invoices/alice/more/m                    | -      | -        | -        | -               | -
invoice_series/alice                     | -      | -        | -        | -               | -
payments/alice                           | -      | -        | -        | -               | -
payment_events/alice                     | -      | -        | -        | -               | -
payment_reviews/alice                    | -      | -        | -        | -               | -
refund_keys/alice                        | -      | -        | -        | -               | -
payouts/alice                            | -      | get      | -        | -               | -
payouts/bob                              | -      | -        | get      | get             | -
payouts/alice/more/m                     | -      | -        | -        | -               | -
payout_recipients/alice                  | -      | -        | -        | -               | -
statement_lines/alice                    | -      | -        | -        | -               | -
settlement_days/alice                    | -      | -        | -        | -               | -
settlement_runs/alice                    | -      | -        | -        | -               | -
reconciliation_tickets/alice             | -      | -        | -        | -               | -
ledger_days/alice                        | -      | -        | -        | -               | -
chain_authorizations/alice               | -      | -        | -        | -               | -
log/state                                | -      | -        | -        | -               | -
log_tiles/0:0                            | -      | -        | -        | -               | -
log_heads/user:alice                     | -      | -        | -        | -               | -
log_heads/user:alice/statements/1        | -      | -        | -        | -               | -
models/maker%2Fmodel                     | -      | get      | get      | get             | get
models/maker%2Fmodel/versions/1          | -      | -        | -        | -               | -
models/maker%2Fmodel/more/m              | -      | -        | -        | -               | -
route_health/acme:0                      | -      | -        | -        | -               | -
profiles/alice                           | -      | get      | -        | -               | -
profiles/bob                             | -      | -        | get      | get             | -
profiles/alice/more/m                    | -      | -        | -        | -               | -
users/alice                              | -      | -        | -        | -               | -
users/alice/notifications/first          | -      | get      | -        | -               | -
users/alice/notifications/first/more/m   | -      | -        | -        | -               | -
users/alice/notes/first                  | -      | -        | -        | -               | -
users/alice/contribution_days/first      | -      | get      | -        | -               | -
users/alice/contribution_models/first    | -      | get      | -        | -               | -
users/bob/contribution_days/first        | -      | -        | get      | get             | -
users/alice/memories/first               | -      | get      | -        | -               | -
users/bob/memories/first                 | -      | -        | get      | get             | -
users/bob/notifications/first            | -      | -        | get      | get             | -
answers/first                            | -      | -        | -        | -               | -
price_state/demand                       | -      | -        | -        | -               | -
price_state/demand/overrides/first       | -      | -        | -        | -               | -
prices/current                           | -      | get      | get      | get             | get
prices/model:a%2Fb/days/2026-01-01       | -      | get      | get      | get             | get
risk_orders/alice                        | -      | -        | -        | -               | -
risk_traces/user:alice                   | -      | -        | -        | -               | -
welcome_claims/alice                     | -      | -        | -        | -               | -
unknown/alice                            | -      | -        | -        | -               | -
alice's entries                          | -      | list     | -        | -               | -
alice's entries, newest first            | -      | list     | -        | -               | -
alice's entries, one too many            | -      | -        | -        | -               | -
alice's entries, without limit           | -      | -        | -        | -               | -
alice's entries, skipping some           | -      | -        | -        | -               | -
alice's entries, counted                 | -      | list     | -        | -               | -
alice's entries, counted without limit   | -      | -        | -        | -               | -
bob's entries                            | -      | -        | list     | list            | -
entries of a card                        | -      | list     | -        | -               | -
entries of everybody                     | -      | -        | -        | -               | -
entries of everybody, counted            | -      | -        | -        | -               | -
entries anywhere under alice's wallet    | -      | -        | -        | -               | -
everything under alice's wallet          | -      | -        | -        | -               | -
alice's notifications                    | -      | list     | -        | -               | -
alice's notifications, newest first      | -      | list     | -        | -               | -
alice's notifications, one too many      | -      | -        | -        | -               | -
alice's notifications, without limit     | -      | -        | -        | -               | -
bob's notifications                      | -      | -        | list     | list            | -
notifications of everybody               | -      | -        | -        | -               | -
users                                    | -      | -        | -        | -               | -
accounts                                 | -      | -        | -        | -               | -
accounts, alice's wallet by name         | -      | -        | -        | -               | -
models                                   | -      | list     | list     | list            | list
models, one too many                     | -      | -        | -        | -               | -
models, without limit                    | -      | -        | -        | -               | -
versions of a model                      | -      | -        | -        | -               | -
versions of all models                   | -      | -        | -        | -               | -
profiles, alice's by name                | -      | -        | -        | -               | -
profiles                                 | -      | -        | -        | -               | -
answers                                  | -      | -        | -        | -               | -
price_state                              | -      | -        | -        | -               | -
prices                                   | -      | -        | -        | -               | -
days of all models                       | -      | -        | -        | -               | -
audit_marks                              | -      | -        | -        | -               | -
alarms                                   | -      | -        | -        | -               | -
alice's conversations                    | -      | list     | -        | -               | -
alice's conversations, one too many      | -      | -        | -        | -               | -
alice's conversations, without limit     | -      | -        | -        | -               | -
conversations                            | -      | -        | -        | -               | -
messages of alice's conversation         | -      | list     | -        | -               | -
messages of alice's conversation, too many | -      | -        | -        | -               | -
messages of all conversations            | -      | -        | -        | -               | -
pictures of alice's conversation         | -      | -        | -        | -               | -
turns of alice's conversation            | -      | -        | -        | -               | -
alice's memories                         | -      | list     | -        | -               | -
alice's memories, without limit          | -      | -        | -        | -               | -
memories of everybody                    | -      | -        | -        | -               | -
alice's jobs                             | -      | list     | -        | -               | -
alice's jobs, one too many               | -      | -        | -        | -               | -
alice's jobs, without limit              | -      | -        | -        | -               | -
jobs                                     | -      | -        | -        | -               | -
chunks of alice's job                    | -      | -        | -        | -               | -
chunks of all jobs                       | -      | -        | -        | -               | -
events of alice's job                    | -      | list     | -        | -               | -
events of alice's job, without limit     | -      | -        | -        | -               | -
events of all jobs                       | -      | -        | -        | -               | -
steps of alice's job                     | -      | list     | -        | -               | -
steps of alice's job, one too many       | -      | -        | -        | -               | -
artifacts of alice's job                 | -      | list     | -        | -               | -
graph_checkpoints of alice's job         | -      | -        | -        | -               | -
alice's orders                           | -      | list     | -        | -               | -
alice's orders, one too many             | -      | -        | -        | -               | -
alice's orders, without limit            | -      | -        | -        | -               | -
orders                                   | -      | -        | -        | -               | -
alice's invoices                         | -      | list     | -        | -               | -
alice's invoices, one too many           | -      | -        | -        | -               | -
alice's invoices, without limit          | -      | -        | -        | -               | -
invoices                                 | -      | -        | -        | -               | -
payments                                 | -      | -        | -        | -               | -
payment_events                           | -      | -        | -        | -               | -
payment_reviews                          | -      | -        | -        | -               | -
refund_keys                              | -      | -        | -        | -               | -
alice's payouts                          | -      | list     | -        | -               | -
alice's payouts, one too many            | -      | -        | -        | -               | -
alice's payouts, without limit           | -      | -        | -        | -               | -
payouts                                  | -      | -        | -        | -               | -
payout_recipients                        | -      | -        | -        | -               | -
payout_recipients of alice               | -      | -        | -        | -               | -
statement_lines                          | -      | -        | -        | -               | -
settlement_days                          | -      | -        | -        | -               | -
settlement_runs                          | -      | -        | -        | -               | -
reconciliation_tickets                   | -      | -        | -        | -               | -
ledger_days                              | -      | -        | -        | -               | -
chain_authorizations                     | -      | -        | -        | -               | -
invoice_series                           | -      | -        | -        | -               | -
alice's contributions                    | -      | list     | -        | -               | -
alice's contributions, one too many      | -      | -        | -        | -               | -
alice's contributions, without limit     | -      | -        | -        | -               | -
contributions                            | -      | -        | -        | -               | -
history of alice's key                   | -      | list     | -        | -               | -
history of alice's key, whoever's lines  | -      | -        | -        | -               | -
days that alice earned                   | -      | list     | -        | -               | -
days that alice earned, without limit    | -      | -        | -        | -               | -
resources                                | -      | -        | -        | -               | -
resources of alice                       | -      | -        | -        | -               | -
key_fingerprints                         | -      | -        | -        | -               | -
complaints                               | -      | -        | -        | -               | -
pool_providers                           | -      | -        | -        | -               | -
alice's cards                            | -      | list     | -        | -               | -
alice's cards, one too many              | -      | -        | -        | -               | -
alice's cards, without limit             | -      | -        | -        | -               | -
bob's cards                              | -      | -        | list     | list            | -
cards                                    | -      | -        | -        | -               | -
alice's sessions                         | -      | list     | -        | -               | -
alice's sessions, one too many           | -      | -        | -        | -               | -
alice's sessions, without limit          | -      | -        | -        | -               | -
sessions                                 | -      | -        | -        | -               | -
session_contexts                         | -      | -        | -        | -               | -
public pools                             | -      | list     | list     | list            | list
public pools, one too many               | -      | -        | -        | -               | -
public pools, without limit              | -      | -        | -        | -               | -
pools                                    | -      | -        | -        | -               | -
members of a pool                        | -      | list     | -        | -               | -
members of a public pool                 | -      | -        | -        | -               | -
members of all pools                     | -      | -        | -        | -               | -
pool_invites                             | -      | -        | -        | -               | -
card_records                             | -      | -        | -        | -               | -
card_records of alice                    | -      | -        | -        | -               | -
log                                      | -      | -        | -        | -               | -
log_heads                                | -      | -        | -        | -               | -
log_tiles                                | -      | -        | -        | -               | -
route_health                             | -      | -        | -        | -               | -
decisions                                | -      | -        | -        | -               | -
risk_orders                              | -      | -        | -        | -               | -
risk_traces                              | -      | -        | -        | -               | -
welcome_claims                           | -      | -        | -        | -               | -
unknown                                  | -      | -        | -        | -               | -
"""
"""What each actor may do. A document is tried with get, create, update and delete, a query with list; whatever a cell
does not name must be denied."""
CLAIMS = {"admin": True, "role": "admin", "roles": ["admin", "operator"], "operator": True, "account": "user:alice"}
TRICKY_UIDS = ["", "Alice", "alice:", "user:alice", "card:alice", "alice/entries/first", "*"]
ACTORS = {
    "nobody": (None, {}),
    "alice": ("alice", {}),
    "bob": ("bob", {}),
    "bob with claims": ("bob", CLAIMS),
    **{f"tricky {uid!r}": (uid, {}) for uid in TRICKY_UIDS},
}


def _entries(body: dict[str, Any], *, count: bool = False, owner: str = "user:alice") -> Query:
    return Query("entries", f"/accounts/{owner}", body, count=count)


def _notifications(body: dict[str, Any], *, owner: str = "alice") -> Query:
    return Query("notifications", f"/users/{owner}", body)


def _owned(owner: str, body: dict[str, Any], collection: str = "cards") -> Query:
    only = {"field": {"field_path": "owner"}, "op": "EQUAL", "value": {"string_value": owner}}
    return Query(collection, body={**body, "where": {"field_filter": only}})


def _public(body: dict[str, Any]) -> Query:
    only = {"field": {"field_path": "public"}, "op": "EQUAL", "value": {"boolean_value": True}}
    return Query("pools", body={**body, "where": {"field_filter": only}})


def _of_job(collection: str, body: dict[str, Any]) -> Query:
    return Query(collection, "/jobs/alice", body=body)


QUERIES = {
    "alice's orders": _owned("alice", {"limit": 100}, "orders"),
    "alice's orders, one too many": _owned("alice", {"limit": 101}, "orders"),
    "alice's orders, without limit": _owned("alice", {}, "orders"),
    "orders": Query("orders"),
    "alice's invoices": _owned("alice", {"limit": 100}, "invoices"),
    "alice's invoices, one too many": _owned("alice", {"limit": 101}, "invoices"),
    "alice's invoices, without limit": _owned("alice", {}, "invoices"),
    "invoices": Query("invoices"),
    "payments": Query("payments"),
    "payment_events": Query("payment_events"),
    "payment_reviews": Query("payment_reviews"),
    "refund_keys": Query("refund_keys"),
    "alice's payouts": _owned("alice", {"limit": 100}, "payouts"),
    "alice's payouts, one too many": _owned("alice", {"limit": 101}, "payouts"),
    "alice's payouts, without limit": _owned("alice", {}, "payouts"),
    "payouts": Query("payouts"),
    "payout_recipients": Query("payout_recipients"),
    "payout_recipients of alice": _owned("alice", {"limit": 1}, "payout_recipients"),
    "statement_lines": Query("statement_lines"),
    "settlement_days": Query("settlement_days"),
    "settlement_runs": Query("settlement_runs"),
    "reconciliation_tickets": Query("reconciliation_tickets"),
    "ledger_days": Query("ledger_days"),
    "chain_authorizations": Query("chain_authorizations"),
    "invoice_series": Query("invoice_series"),
    "alice's conversations": _owned("alice", {"limit": 100}, "conversations"),
    "alice's conversations, one too many": _owned("alice", {"limit": 101}, "conversations"),
    "alice's conversations, without limit": _owned("alice", {}, "conversations"),
    "conversations": Query("conversations"),
    "messages of alice's conversation": Query("messages", "/conversations/alice", {"limit": 100}),
    "messages of alice's conversation, too many": Query("messages", "/conversations/alice", {"limit": 101}),
    "messages of all conversations": Query("messages", descend=True),
    "pictures of alice's conversation": Query("pictures", "/conversations/alice"),
    "turns of alice's conversation": Query("turns", "/conversations/alice"),
    "alice's memories": Query("memories", "/users/alice", {"limit": 100}),
    "alice's memories, without limit": Query("memories", "/users/alice", {}),
    "memories of everybody": Query("memories", descend=True),
    "alice's jobs": _owned("alice", {"limit": 100}, "jobs"),
    "alice's jobs, one too many": _owned("alice", {"limit": 101}, "jobs"),
    "alice's jobs, without limit": _owned("alice", {}, "jobs"),
    "jobs": Query("jobs"),
    "chunks of alice's job": Query("chunks", "/jobs/alice"),
    "chunks of all jobs": Query("chunks", descend=True),
    "events of alice's job": _of_job("events", {"limit": 100}),
    "events of alice's job, without limit": _of_job("events", {}),
    "events of all jobs": Query("events", descend=True),
    "steps of alice's job": _of_job("steps", {"limit": 100}),
    "steps of alice's job, one too many": _of_job("steps", {"limit": 101}),
    "artifacts of alice's job": _of_job("artifacts", {"limit": 100}),
    "graph_checkpoints of alice's job": _of_job("graph_checkpoints", {"limit": 1}),
    "alice's contributions": _owned("alice", {"limit": 100}, "contributions"),
    "alice's contributions, one too many": _owned("alice", {"limit": 101}, "contributions"),
    "alice's contributions, without limit": _owned("alice", {}, "contributions"),
    "contributions": Query("contributions"),
    "history of alice's key": replace(_owned("alice", {"limit": 100}, "health"), parent="/contributions/alice"),
    "history of alice's key, whoever's lines": Query("health", "/contributions/alice"),
    "days that alice earned": Query("contribution_days", "/users/alice", {"limit": 100}),
    "days that alice earned, without limit": Query("contribution_days", "/users/alice", {}),
    "resources": Query("resources"),
    "resources of alice": _owned("alice", {"limit": 1}, "resources"),
    "key_fingerprints": Query("key_fingerprints"),
    "complaints": Query("complaints"),
    "pool_providers": Query("pool_providers"),
    "alice's cards": _owned("alice", {"limit": 100}),
    "alice's cards, one too many": _owned("alice", {"limit": 101}),
    "alice's cards, without limit": _owned("alice", {}),
    "bob's cards": _owned("bob", {"limit": 100}),
    "cards": Query("cards"),
    "alice's sessions": _owned("alice", {"limit": 100}, "sessions"),
    "alice's sessions, one too many": _owned("alice", {"limit": 101}, "sessions"),
    "alice's sessions, without limit": _owned("alice", {}, "sessions"),
    "sessions": Query("sessions"),
    "session_contexts": Query("session_contexts"),
    "public pools": _public({"limit": 100}),
    "public pools, one too many": _public({"limit": 101}),
    "public pools, without limit": _public({}),
    "pools": Query("pools", body={"limit": 100}),
    "members of a pool": Query("pool_members", "/pools/club", {"limit": 100}),
    "members of a public pool": Query("pool_members", "/pools/open", {"limit": 100}),
    "members of all pools": Query("pool_members", descend=True),
    "pool_invites": Query("pool_invites"),
    "card_records": Query("card_records"),
    "card_records of alice": _owned("alice", {"limit": 1}, "card_records"),
    "alice's entries": _entries({"limit": 100}),
    "alice's entries, newest first": _entries(
        {"limit": 100, "order_by": [{"field": {"field_path": "seq"}, "direction": "DESCENDING"}]}
    ),
    "alice's entries, one too many": _entries({"limit": 101}),
    "alice's entries, without limit": _entries({}),
    "alice's entries, skipping some": _entries({"limit": 100, "offset": 1}),
    "alice's entries, counted": _entries({"limit": 100}, count=True),
    "alice's entries, counted without limit": _entries({}, count=True),
    "bob's entries": _entries({"limit": 100}, owner="user:bob"),
    "entries of a card": _entries({"limit": 100}, owner="card:alice"),
    "entries of everybody": Query("entries", descend=True),
    "entries of everybody, counted": Query("entries", descend=True, count=True),
    "entries anywhere under alice's wallet": Query("entries", "/accounts/user:alice", descend=True),
    "everything under alice's wallet": Query("", "/accounts/user:alice", descend=True),
    "alice's notifications": _notifications({"limit": 100}),
    "alice's notifications, newest first": _notifications(
        {"limit": 100, "order_by": [{"field": {"field_path": "seq"}, "direction": "DESCENDING"}]}
    ),
    "alice's notifications, one too many": _notifications({"limit": 101}),
    "alice's notifications, without limit": _notifications({}),
    "bob's notifications": _notifications({"limit": 100}, owner="bob"),
    "notifications of everybody": Query("notifications", descend=True),
    "users": Query("users"),
    "accounts": Query("accounts"),
    "accounts, alice's wallet by name": Query("accounts", named="accounts/user:alice"),
    "models": Query("models", body={"limit": 100}),
    "models, one too many": Query("models", body={"limit": 101}),
    "models, without limit": Query("models", body={}),
    "versions of a model": Query("versions", "/models/maker%2Fmodel"),
    "versions of all models": Query("versions", descend=True),
    "profiles, alice's by name": Query("profiles", named="profiles/alice"),
    "profiles": Query("profiles"),
    "answers": Query("answers"),
    "price_state": Query("price_state"),
    "prices": Query("prices"),
    "days of all models": Query("days", descend=True),
    "audit_marks": Query("audit_marks"),
    "alarms": Query("alarms"),
    "log": Query("log"),
    "log_heads": Query("log_heads"),
    "log_tiles": Query("log_tiles"),
    "route_health": Query("route_health"),
    "decisions": Query("decisions"),
    "risk_orders": Query("risk_orders"),
    "risk_traces": Query("risk_traces"),
    "welcome_claims": Query("welcome_claims"),
    "unknown": Query("unknown"),
}
