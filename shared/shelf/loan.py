"""One contributed key lent to one call: what is reserved of its quota, and who is paid for it."""

from collections.abc import Mapping, Sequence

from shared.ledger.models import Share
from shared.resources.models import KEY_FACT, ContributedKey
from shared.resources.rules import shares_of
from shared.shelf.models import LEASE_FACT, OpenLease, Stand


class Loan:
    """Stands between `Shelf.borrow` and the end of the call. The worst case is reserved until it is settled."""

    def __init__(self, stand: Stand, held: OpenLease, reserved_micros: int) -> None:
        self.stand = stand
        self._held = held
        self._reserved_micros = reserved_micros
        held.reserved_micros += reserved_micros
        self._settled = False

    @property
    def key(self) -> ContributedKey:
        """The key as it was chosen."""
        return self.stand.shelved.key

    @property
    def facts(self) -> Mapping[str, str]:
        """What a receipt says of the key: its public id, and under which lease it served."""
        return {KEY_FACT: self.key.id, LEASE_FACT: self._held.lease.id}

    @property
    def shares(self) -> Sequence[Share]:
        """How the charge is split between the key's owner and the platform."""
        return shares_of(self.key)

    def settled(self, charged_micros: int) -> None:
        """Count what the call came to against the quota, and the rest of the reservation as free. Once; the first word
        stands.
        """
        if not self._settled:
            self._settled = True
            self._held.reserved_micros -= self._reserved_micros
            self._held.used_micros += charged_micros
