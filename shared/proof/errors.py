"""What can be wrong with a proof, a note, a tile or the log itself, and who is at fault when it is."""

from shared.base.errors import CredenceError, Kind


class NoteWrong(Exception):
    """The text is no signed note, or is not signed by whom it must be."""


class TileWrong(Exception):
    """The path names no tile, or the bytes are not those of one."""


class SigningFailed(Exception):
    """The signer did not answer, or with what its public key does not verify. Nothing was published."""


class VaultUnavailable(Exception):
    """The vault did not answer. What was to be published may stand in it or not; publishing again settles that."""


class VaultConflict(Exception):
    """The vault holds another note for the same size: two logs were signed, and only people can say which is true."""


class LogBroken(Exception):
    """The stored log does not lead to the root it states, or has fewer leaves than were published. Nothing is signed
    any more until people have looked."""


class CommitLost(Exception):
    """The append was rejected, or its outcome is unknown. Only a reread tells what stands."""


class ReceiptWrong(Exception):
    """A receipt does not prove what it says. `piece` names the first part that fails."""

    def __init__(self, piece: str, reason: str) -> None:
        super().__init__(f"{piece}: {reason}")
        self.piece = piece
        self.reason = reason


class LogPathUnknown(CredenceError):
    """The log has nothing at this path, or not yet."""

    code = "log_path_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("The log has nothing at this path; `checkpoint` says how far it goes.")
