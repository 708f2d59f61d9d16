"""Tell users of what happened on an account. Called by Eventarc for each new entry; a repeat tells nothing twice.

Owners of wallets hear of low balances and large movements, contributors of calls that their keys served.

Events come at least once and in any order: a notice is made from its entry alone, under an id that follows from it.
"""

from shared.app import App
from shared.base.ids import AccountId, EntryId
from shared.web.event import CreatedDocument, event_function


@event_function(document="accounts/{account}/entries/{entry}")
async def entry_created(event: CreatedDocument, app: App) -> None:
    """Raise EntryUnreadable or NoticeUnwritable, which drop the event, or NoticesUnavailable or
    ContributionsUnavailable, which repeat it.
    """
    account_id, entry_id = AccountId(event.names["account"]), EntryId(event.names["entry"])
    await app.notices.tell_of(account_id, entry_id, event.fields)
    await app.pending_calls.heard_of(account_id, entry_id, event.fields)
