"""Why a payment on the chain is not believed, or not yet. No message carries an RPC address, which may hold a key."""

from collections.abc import Sequence

from shared.base.errors import CredenceError, Kind


class ChainUnavailable(CredenceError):
    """The node did not answer, or not sensibly: nothing is known. Asking again is safe."""

    code = "chain_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self, reason: str) -> None:
        super().__init__("The chain cannot be read at the moment. Try again.")
        self.reason = reason
        """For the log."""


class CallRefused(ChainUnavailable):
    """The node answered that it will not: what is asked of is too long ago for it, or more than it gives at once."""

    code = "chain_call_refused"


class WrongChain(ChainUnavailable):
    """The node serves another chain than the one configured. An operator must look; no payment is believed."""

    code = "chain_wrong"


class TransferPending(CredenceError):
    """The payment is on its way: nothing is wrong with it, and nothing may be granted for it yet."""

    code = "transfer_pending"
    kind = Kind.BUSY

    def __init__(self, transaction: str, blocks_missing: int | None) -> None:
        super().__init__("The payment is not final on the chain yet. Ask again in some minutes.")
        self.transaction = transaction
        self.blocks_missing = blocks_missing
        """How far finality is behind its block; None while it stands in no block."""

    def details(self) -> dict[str, int | str]:
        """Which transaction, and how far."""
        missing = {} if self.blocks_missing is None else {"blocks_missing": self.blocks_missing}
        return {"transaction": self.transaction, **missing}


class TransferRefused(CredenceError):
    """The transaction proves no payment of this order, and never will."""

    code = "transfer_refused"
    kind = Kind.INVALID


class AmountDiffers(TransferRefused):
    """The transaction sends us another amount than the order costs: no payment of it, and money all the same."""

    code = "transfer_amount_differs"

    def __init__(self, amount: int) -> None:
        super().__init__("The transaction sends another amount than the order costs.", param="transaction")
        self.amount = amount

    def details(self) -> dict[str, int | str]:
        """What it does send."""
        return {"amount": self.amount}


class TransferAmbiguous(TransferRefused):
    """Several transfers of the transaction would fit; the claim must name one."""

    code = "transfer_ambiguous"

    def __init__(self, log_indexes: Sequence[int]) -> None:
        super().__init__("Several transfers of this transaction fit: name the one by its log index.", param="log_index")
        self.log_indexes = tuple(log_indexes)

    def details(self) -> dict[str, int | str]:
        """Which ones."""
        return {"log_indexes": ",".join(map(str, self.log_indexes))}


class ClaimNotSigned(CredenceError):
    """The claim is not signed by whoever sent the payment; a transaction that everybody can see proves nothing."""

    code = "claim_not_signed"
    kind = Kind.DENIED


class AuthorizationRefused(CredenceError):
    """The signed authorization does not pay this order."""

    code = "payment_invalid"
    kind = Kind.INVALID


class AuthorizationTaken(CredenceError):
    """The authorization pays for another order, or was used by somebody else."""

    code = "payment_taken"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This authorization was used already. Sign a new one.")


class SettlementRefused(CredenceError):
    """The facilitator will not settle the authorization; no money has moved."""

    code = "payment_refused"
    kind = Kind.UNPAID

    def __init__(self, reason: str) -> None:
        super().__init__("The payment could not be settled.")
        self.reason = reason
        """The facilitator's word, bounded."""

    def details(self) -> dict[str, int | str]:
        """The facilitator's word for it."""
        return {"reason": self.reason}


class FacilitatorUnavailable(CredenceError):
    """The facilitator did not answer: the money may have moved. Settling again finds out and pays once."""

    code = "facilitator_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self, reason: str) -> None:
        super().__init__("The payment could not be settled at the moment. Try again with the same authorization.")
        self.reason = reason
        """For the log."""


class ReservationsUnavailable(CredenceError):
    """Firestore could not say which order an authorization belongs to."""

    code = "reservations_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("The payment could not be recorded at the moment. Try again with the same authorization.")
