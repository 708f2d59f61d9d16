"""Tell users of low balances and large movements. Called by Eventarc for each new entry; a repeat tells nothing twice.

Events come at least once and in any order: a notice is made from its entry alone, under an id that follows from it.
"""

from shared.app import App
from shared.base.ids import AccountId, EntryId
from shared.web.event import CreatedDocument, event_function


@event_function(document="accounts/{account}/entries/{entry}")
async def entry_created(event: CreatedDocument, app: App) -> None:
    """Raise EntryUnreadable or NoticeUnwritable, which drop the event, or NoticesUnavailable, which repeats it."""
    await app.notices.tell_of(AccountId(event.names["account"]), EntryId(event.names["entry"]), event.fields)
