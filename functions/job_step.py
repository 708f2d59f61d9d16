"""Work at a job for a few steps, and have the next ones queued. Called by Cloud Tasks; repeatable, also at once.

Who has the job's lease works; a leg that is over is not run again, and a step that is finished is not paid again.
"""

from shared.agents.models import JobTask
from shared.app import App
from shared.web.task import task_function


@task_function(body=JobTask, imports_ahead="shared.agents.run")
async def job_step(task: JobTask, app: App) -> None:
    """Raise JobBusy, JobsUnavailable or TasksUnavailable, which bring the task back."""
    await app.job_runner.run(task)
