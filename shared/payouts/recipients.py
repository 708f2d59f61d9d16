"""Who is paid and where: one account at the provider for each earner, and how it stood when it was looked at last."""

from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.base.log import write_line
from shared.payouts import rules
from shared.payouts.errors import PayoutBusy, PayoutRefused
from shared.payouts.models import Recipient
from shared.payouts.ports import Accounts, RecipientStore

LOOKS_MAX = 4
"""Of one recipient, when others write what they saw at the same moment."""


class Recipients:
    """Recipients of payouts. Raise RailUnavailable, RailRefused, PaymentsUnavailable or PayoutBusy; then repeat."""

    def __init__(self, store: RecipientStore, accounts: Accounts, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock

    async def onboard(self, owner: UserId, country: str | None) -> tuple[Recipient, str]:
        """The owner's recipient, and a page on which they go on being asked. The country counts the first time only.

        Raise PayoutRefused when there is no recipient yet and no country to make one in.
        """
        recipient = await self._store.find(owner)
        if recipient is None:
            if country is None:
                raise PayoutRefused("country_needed")
            destination = await self._accounts.open(owner, country)
            # If we die here, a repeat has the same account from the provider for a day, and then another empty one.
            recipient = await self._store.create(Recipient(owner=owner, destination=destination))
        url = await self._accounts.link(recipient.destination, key=f"{recipient.destination}-{self._clock()}")
        return recipient, url

    async def look(self, owner: UserId) -> Recipient | None:
        """The owner's recipient as the provider shows it now. None: there is none."""
        recipient = await self._store.find(owner)
        return await self._seen(recipient) if recipient is not None else None

    async def look_at(self, destination: str) -> None:
        """The same for an account of the provider's, which may be nobody's."""
        recipient = await self._store.find_by(destination)
        if recipient is not None:
            await self._seen(recipient)

    async def _seen(self, before: Recipient) -> Recipient:
        for _ in range(LOOKS_MAX):
            try:
                return await self._look_once(before)
            except PayoutBusy:
                # Events come several at once: somebody else has just written what they saw.
                before = await self._store.find(before.owner) or before
        raise PayoutBusy

    async def _look_once(self, before: Recipient) -> Recipient:
        seen = await self._accounts.look(before.destination)
        after = rules.recipient_after(before, seen, at_ms=self._clock())
        if after != before:
            await self._store.replace(before, after)
            write_line("INFO", "recipient", destination=after.destination, active=after.is_active)
            if after.bank != before.bank:
                write_line("WARNING", "bank_changed", destination=after.destination)
        return after
