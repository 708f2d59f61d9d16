"""Stands in for Cloud Tasks: its v2 API over gRPC, real deliveries over HTTP, and a second port for the local stack.

There is no emulator of Google's, and none of anybody's that knows names, schedules, backoff and tokens. Run by
local/cloud_tasks/emulator.py, which passes both ports.
"""

import asyncio
import signal
import sys

import aiohttp
import grpc
from aiohttp import web

from local.cloud_tasks.dispatch import Faults
from local.cloud_tasks.service import CloudTasksService
from local.oidc import LocalIssuer
from local.process import HOST

READY_PATH = "/_ready"
ISSUER_PATH = "/projects/{project}/issuer"
FAULTS_PATH = "/projects/{project}/faults"
STOP_GRACE_S = 0.5


async def serve(grpc_port: int, control_port: int) -> None:
    """Until SIGTERM."""
    stopped = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    # Connections are not kept: a gateway that is restarted meets no half-closed one.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        service = CloudTasksService(session)
        server = grpc.aio.server(handlers=(service.handler(),))
        server.add_insecure_port(f"{HOST}:{grpc_port}")
        await server.start()
        runner = web.AppRunner(_control(service), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, control_port, reuse_address=True).start()
        await stopped.wait()
        await service.stop()
        await runner.cleanup()
        await server.stop(STOP_GRACE_S)


def _control(service: CloudTasksService) -> web.Application:
    """What the local stack asks of the emulator beside Google's API."""

    async def ready(request: web.Request) -> web.Response:
        return web.Response(text="ready")

    async def set_issuer(request: web.Request) -> web.Response:
        issuer = LocalIssuer(private_key_pem=await request.text(), certificate_pem="")
        service.issuers[request.match_info["project"]] = issuer
        return web.Response()

    async def set_faults(request: web.Request) -> web.Response:
        faults = service.faults.setdefault(request.match_info["project"], Faults())
        for name, value in (await request.json()).items():
            setattr(faults, name, value)
        return web.Response()

    control = web.Application()
    control.add_routes([web.get(READY_PATH, ready), web.put(ISSUER_PATH, set_issuer), web.put(FAULTS_PATH, set_faults)])
    return control


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
