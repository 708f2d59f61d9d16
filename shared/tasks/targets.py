"""The functions that tasks are posted to. `infra/functions.yaml` has a row for each, and a test compares the two."""

from msgspec import Struct


class Target(Struct, frozen=True):
    """Where tasks of one function wait, and how long one run of it may take."""

    queue: str
    deadline_s: int
    """After this long an attempt counts as failed and the task is delivered again; the function's own timeout, which
    ends it then."""


TARGETS: dict[str, Target] = {
    "image_run": Target("images", deadline_s=600),
    "job_step": Target("jobs", deadline_s=600),
    "key_validate": Target("keys", deadline_s=120),
    "order_check": Target("payments", deadline_s=60),
    "payment_apply": Target("payments", deadline_s=60),
    "payout_apply": Target("payments", deadline_s=60),
    "payout_send": Target("payments", deadline_s=60),
}
"""By the name of the function."""
