"""A picture that is shown while it is painted."""

from collections.abc import Mapping
from typing import Any

from shared.base.units import Unit
from shared.calls.service import told_cost
from shared.images.rules import is_picture
from shared.metering.models import Charge, Usage, UsageSource

COMPLETED, PARTIAL = "image_generation.completed", "image_generation.partial_image"


class Painting:
    """A picture as a work that is shown while it is made. Implements `shared.calls.stream.Work`."""

    noun = "picture"
    partial = PARTIAL
    finished = COMPLETED
    owed_unseen = False

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether there is a picture in it."""
        return is_picture(event)

    def shown(self, event: Mapping[str, Any]) -> None:
        """A part of a picture is charged as all of it, so nothing is to be noted."""

    def usage(self, finished: Mapping[str, Any] | None) -> Usage:
        """One picture, finished or not."""
        source = UsageSource.ESTIMATED if finished is None else UsageSource.REPORTED
        return Usage({Unit.IMAGE: 1}, source)

    def told(self, finished: Mapping[str, Any], usage: Usage | None, charge: Charge) -> dict[str, Any]:
        """The picture with its cost beside what the provider says it used."""
        reported = finished.get("usage")
        counts = {**(reported if isinstance(reported, dict) else {}), Unit.IMAGE.value: 1, **told_cost(charge)}
        return {**finished, "usage": counts}
