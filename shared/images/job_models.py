"""A job that paints: what was asked, where it stands, what came of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NewType

from msgspec import Struct

from shared.base.body import Body
from shared.base.ids import AccountId, HoldId, UserId
from shared.images.models import ImageRequest
from shared.ledger.models import Share
from shared.metering.models import Quote
from shared.routing.models import NO_PREFERENCE, Preference

JobId = NewType("JobId", str)

IMAGE_RUN = "image_run"
"""The function that works at jobs."""


class JobState(StrEnum):
    """Where a job stands. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"


class ImageRun(Body, frozen=True, kw_only=True):
    """What a task of `image_run` says."""

    job_id: str


class Picture(Struct, frozen=True):
    """A picture that is kept. Its bytes are in `chunks` pieces under its name."""

    name: str
    media_type: str
    size_bytes: int
    chunks: int


class LentPicture(Struct, frozen=True):
    """What a picture was that a contributed key made: it is charged by itself, so that the key's owner has a part in it
    and in no other.
    """

    facts: Mapping[str, str | int]
    """What its receipt says of its way."""
    shares: tuple[Share, ...]


class PictureCharge(Struct, frozen=True):
    """A charge for one or more pictures of a job, under a hold that it may have for itself."""

    hold_id: HoldId
    quote: Quote
    images: int
    facts: Mapping[str, str | int]
    shares: tuple[Share, ...]


class Failure(Struct, frozen=True):
    """Why there are no pictures, in words for the owner."""

    code: str
    message: str


class ImageJob(Struct, frozen=True, kw_only=True):
    """One job. Times are of the wall clock."""

    job_id: JobId
    owner: UserId
    """Who may see it: for a card's job, the card's owner too."""
    lenders: tuple[UserId, ...] = ()
    """Whose credits it may spend besides: other members of a pool that a session drew from."""
    account_id: AccountId
    hold_id: HoldId
    model_id: str
    request: ImageRequest
    quote: Quote
    preference: Preference = NO_PREFERENCE
    asked: int
    """How many pictures were."""
    created_at_ms: int
    expires_at_ms: int
    delete_at_ms: int
    state: JobState = JobState.QUEUED
    percent: int = 0
    pictures: tuple[Picture, ...] = ()
    """What is finished. Shown once it is charged."""
    preview: Picture | None = None
    """What the picture under way looks like."""
    runs: int = 0
    """How often work at it was begun; who began it as number so-and-so writes no longer once another did."""
    lease_until_ms: int = 0
    """Until then nobody else begins."""
    facts: Mapping[str, str | int] = {}
    """What the receipt says of the way of the last picture that the platform's own key made."""
    lent: Mapping[str, LentPicture] = {}
    """Those of the pictures that contributed keys made, by their names."""
    is_delivered: bool = False
    """True once it is decided that `pictures` are what is charged. From then on only the charge is left to make."""
    charged_micros: int | None = None
    receipt_id: str | None = None
    receipt_ids: tuple[str, ...] = ()
    """All of them, that one last."""
    failure: Failure | None = None

    @property
    def payers(self) -> frozenset[UserId]:
        """Whose credits it may spend. No contributed key of theirs makes its pictures."""
        return frozenset({self.owner, *self.lenders})

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)
