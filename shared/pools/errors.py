"""Why something with a pool is refused. Ledger errors say why its credits do not move."""

from shared.base.errors import CredenceError, Kind


class PoolAbsent(CredenceError):
    """There is no such pool for the caller: none at all, or one that they neither belong to nor may see."""

    code = "pool_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such pool that you belong to or could join.")


class RoleMissing(CredenceError):
    """A member asks for what only somebody above them may do."""

    code = "role_missing"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("Your role in this pool does not allow this.")


class MemberAbsent(CredenceError):
    """Nobody of this id belongs to the pool."""

    code = "member_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such member of this pool.")


class MemberBarred(CredenceError):
    """The caller was removed from the pool."""

    code = "member_barred"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("You were removed from this pool; only its owner or a manager can let you in again.")


class OwnerStays(CredenceError):
    """A pool's owner cannot leave it, be removed, or have another role."""

    code = "owner_stays"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("A pool keeps its owner until they hand it over or close it.")


class PublicNeedsLimit(CredenceError):
    """A pool that anybody may join must limit what a new member draws of the others' credits."""

    code = "public_pool_needs_limit"
    kind = Kind.INVALID

    def __init__(self) -> None:
        super().__init__("A public pool needs a member_limit; 0 lets members draw only what is their own.")


class InvitationWrong(CredenceError):
    """The code lets nobody in: malformed, of another pool, used up, expired, or with another secret."""

    code = "invitation_invalid"
    kind = Kind.DENIED

    def __init__(self) -> None:
        super().__init__("This invitation is not valid, or not any more. Ask for another one.")


class InvitationAbsent(CredenceError):
    """The pool has no invitation of this id."""

    code = "invitation_not_found"
    kind = Kind.ABSENT

    def __init__(self) -> None:
        super().__init__("There is no such invitation to this pool.")


class InvitationsFull(CredenceError):
    """The pool has as many invitations that let somebody in as it may, or too many that wait to be forgotten."""

    code = "invitations_full"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This pool has as many invitations as it may; revoke some, or wait until older ones expire.")


class ContextFull(CredenceError):
    """What a session remembers is as long as it may be."""

    code = "session_context_full"
    kind = Kind.CONFLICT

    def __init__(self) -> None:
        super().__init__("This session remembers as much as it can; open another one, or leave `remember` out.")


class PoolsBusy(CredenceError):
    """Somebody else changed the pool at the same moment. A repeat is safe."""

    code = "pool_busy"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("This pool is being changed by another request. Try again.")


class PoolsUnavailable(CredenceError):
    """The store of pools did not answer in time. A repeat is safe."""

    code = "pools_unavailable"
    kind = Kind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Pools could not be read or changed just now. Try again.")
