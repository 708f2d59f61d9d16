"""The Cloud Tasks stand-in as a part of the local stack: started, told of deployments, made to misbehave."""

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
import requests
from google.api_core.exceptions import AlreadyExists
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from local.cloud_tasks.server import FAULTS_PATH, ISSUER_PATH, READY_PATH
from local.manifest import QueueRow
from local.node import REPOSITORY
from local.oidc import LocalIssuer
from local.process import HOST, Service, free_port, start_child

LOCATION = "local-region1"
DEADLINE_S = 30.0
"""It needs a second; the rest is for a machine that is busy."""
TIMEOUT_S = 10.0
HASTE = 20
"""Pauses between attempts are so many times shorter than in the cloud, where nobody sits and waits."""


@dataclass(frozen=True, slots=True)
class CloudTasksEmulator:
    """A running stand-in. Tasks stay while it lives, whichever deployments come and go."""

    service: Service
    address: str
    """host:port of the API, as `CLOUD_TASKS_EMULATOR_HOST` has it."""

    def attach(self, project_id: str, issuer: LocalIssuer, queues: Iterable[QueueRow]) -> None:
        """Sign what is delivered for the project as its issuer does, and have its queues there and running."""
        url = f"http://{self.service.address}" + ISSUER_PATH.format(project=project_id)
        requests.put(url, data=issuer.private_key_pem, timeout=TIMEOUT_S).raise_for_status()
        with self.client() as client:
            for row in queues:
                queue = queue_of(project_id, row)
                try:
                    client.create_queue(parent=location_of(project_id), queue=queue)
                except AlreadyExists:
                    client.resume_queue(name=queue.name)

    def detach(self, project_id: str, queues: Iterable[QueueRow]) -> None:
        """Keep the project's tasks until a deployment of it is there again."""
        with self.client() as client:
            for row in queues:
                client.pause_queue(name=queue_of(project_id, row).name)

    def misbehave(self, project_id: str, **faults: float) -> None:
        """Set faults of the project's next deliveries: the fields of `dispatch.Faults`."""
        url = f"http://{self.service.address}" + FAULTS_PATH.format(project=project_id)
        requests.put(url, json=faults, timeout=TIMEOUT_S).raise_for_status()

    def client(self) -> tasks_v2.CloudTasksClient:
        """Google's own client, for whoever looks at the queues."""
        return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(self.address)))


def start_cloud_tasks(folder: Path) -> CloudTasksEmulator:
    """Start it on two free ports."""
    grpc_port, control_port = free_port(), free_port()
    command = [sys.executable, "-m", "local.cloud_tasks.server", str(grpc_port), str(control_port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    child = start_child("Cloud Tasks stand-in", command, folder=folder, environment=environment)
    service = Service("Cloud Tasks stand-in", f"{HOST}:{control_port}", child, READY_PATH, DEADLINE_S)
    return CloudTasksEmulator(service, f"{HOST}:{grpc_port}")


def location_of(project_id: str) -> str:
    """Where a project's queues are."""
    return f"projects/{project_id}/locations/{LOCATION}"


def queue_of(project_id: str, row: QueueRow) -> tasks_v2.Queue:
    """A queue of infra/queues.yaml, in haste."""
    return tasks_v2.Queue(
        name=f"{location_of(project_id)}/queues/{row.name}",
        rate_limits={
            "max_dispatches_per_second": row.dispatches_per_s_max,
            "max_concurrent_dispatches": row.dispatches_at_once_max,
        },
        retry_config={
            "max_attempts": row.attempts_max,
            "max_retry_duration": {"seconds": row.retry_s_max // HASTE},
            "min_backoff": _duration(row.backoff_s_min / HASTE),
            "max_backoff": _duration(row.backoff_s_max / HASTE),
            "max_doublings": row.doublings_max,
        },
    )


def _duration(seconds: float) -> dict[str, int]:
    return {"seconds": int(seconds), "nanos": int(seconds % 1 * 1e9)}
