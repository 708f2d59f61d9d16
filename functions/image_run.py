"""Paint the pictures of a job. Called by Cloud Tasks when a job was accepted and when its time is over; repeatable.

Each may come several times, also at once: a picture that is kept is not painted again, and the charge is made once.
"""

from shared.app import App
from shared.images.job_models import ImageRun, JobId
from shared.web.task import task_function


@task_function(body=ImageRun, imports_ahead="shared.providers.gateway")
async def image_run(run: ImageRun, app: App) -> None:
    """Raise JobBusy, JobsUnavailable, LedgerUnavailable or what a provider did, which bring the task back."""
    await app.image_runner.run(JobId(run.job_id))
