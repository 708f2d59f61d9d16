"""The bounds of jobs, in one place, each with its reason."""

from shared.base.economy import DAY_MS

JOB_KEPT_MS = 30 * DAY_MS
"""A job and all that belongs to it are deleted so long after it was asked for (Firestore takes up to a day more)."""
LEASE_MS = 60_000
"""So long after a process died may the next one begin."""
RENEWALS_PER_LEASE = 3
"""Two may fail, or be late."""
STEPS_PER_LEG_MAX = 25
LEG_S_MAX = 240.0
"""After this a leg ends at the next step's end, well before the 600 seconds after which its task is given up. One step
may take the rest."""
TAKES_IDLE_MAX = 12
"""A job that ends its process each time does so this often."""
FAILURES_MAX = 5
"""A provider's trouble is outlived so often between two steps. The router has tried every route several times each."""
RETRY_MS_MIN = 2_000
RETRY_MS_MAX = 60_000
"""The pause after a failure doubles from the first to the second of these."""
SWEEPS_MAX = 5
LOOK_AFTER_MS = 10 * 60_000
"""A queued task comes sooner, or its queue has given it up. With the lease and five looks it bounds how long a job can
stand still: an hour, after which it has failed. What it holds is free after HOLD_LIFETIME_MS, whatever happens."""
LEG_MS_MAX = 10 * 60_000
"""After this a task is given up. A job that will be deleted within it is not worked at any more: what its steps cost
may be forgotten before the job is."""
AT_REST_MS_MAX = 7 * DAY_MS
"""A job that waits for its owner waits so long."""
SWEPT_MAX = 200
"""Jobs that one sweep looks at."""

CEILING_MICROS_MAX = 10_000_000_000
"""Ten thousand credits: whoever wants to spend more on one job starts another."""
WARNING_PPM = 800_000
"""Of the ceiling; the owner is told when this much is spent."""
PARAMS_BYTES_MAX = 64 * 1024
RESULT_BYTES_MAX = 16 * 1024
"""Both are kept in the job's document, which is written with every step."""
TRACE_BYTES_MAX = 700_000
"""A step's answer is in one document, which holds a mebibyte."""

CHUNK_BYTES = 900_000
"""A document has a mebibyte at most, with its name and other fields."""
COMMIT_BYTES_MAX = 3_000_000
"""Firestore takes ten mebibytes in one request, and its emulator four."""
ARTIFACT_BYTES_MAX = 20 * 1024 * 1024
"""Cloud Run answers with 32 mebibytes at most."""
ARTIFACT_NAME_CHARS_MAX = 200
"""A result that names many stays within RESULT_BYTES_MAX."""
ARTIFACTS_BYTES_MAX = 200 * 1024 * 1024
"""Of one job."""

FILM_MS_MAX = 30 * 60_000
"""A provider that has made no video by then makes none: the job has failed, and nothing is charged."""
FILM_HOLD_MS = 3 * FILM_MS_MAX
"""Half of it is longer than any video may take."""
FILM_LOOK_MS_MIN = 5_000
FILM_LOOK_MS_MAX = 60_000
"""A provider is asked how far it is after a sixth of the time that it has taken, within these two."""

NOTE_CHARS_MAX = 2_000
NOTES_PENDING_MAX = 50
"""So many are kept back before one waits for them to be written."""
NOTE_PAUSE_S = 0.5
"""A document that listeners watch is not written more often than this for notes alone."""
NOTED_MAX = 100
EVENTS_PAGE_MAX = 100
JOBS_PAGE_MAX = 50
APPROVAL_CHARS_MAX = 4_000
