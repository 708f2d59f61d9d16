"""The local stack: Firestore, its events, Auth, Cloud Tasks, and stand-ins for models and payment providers, as one."""

import contextlib
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from local.chain.standin import LocalChain
from local.cloud_tasks.emulator import CloudTasksEmulator, start_cloud_tasks
from local.emulators import EmulatorMissing, start_auth, start_firestore, warm_up_firestore
from local.events import EventDelivery
from local.node import NodeMissing
from local.paypal.standin import PayPalStandin, start_paypal
from local.process import ProcessFailed, Service
from local.razorpay.standin import RazorpayStandin, start_razorpay
from local.standin import start_standin
from local.stripe.standin import StripeStandin, start_stripe

CANNOT_START = (EmulatorMissing, NodeMissing, ProcessFailed)
"""Why a stack does not start; each says what is missing and how to get it."""


class Stack:
    """A context manager. Several can stand side by side, each on its own free ports, with its own data.

    Enter it from the main thread: its children live no longer than the thread that started them (local/process.py).
    """

    events: EventDelivery
    """Where deployments subscribe their functions to what happens in Firestore. Made when the stack is entered."""
    cloud_tasks: CloudTasksEmulator
    """Where their functions' tasks wait. Made when the stack is entered."""
    stripe: StripeStandin
    """Where what they sell is paid. Made when the stack is entered."""
    paypal: PayPalStandin
    """The same for buyers who pay by PayPal."""
    razorpay: RazorpayStandin
    """The same for buyers who pay by Razorpay."""
    chain: LocalChain
    """And where it is paid with a token. Listens when the stack is entered, and starts a chain once it is asked."""

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        """`report` is told, one line at a time, what starts and what is ready."""
        self._report = report
        self._exit = contextlib.ExitStack()
        self._services: list[Service] = []

    def __enter__(self) -> Self:
        """Raise EmulatorMissing, NodeMissing or ProcessFailed; nothing is left running then."""
        started_at = time.monotonic()
        with contextlib.ExitStack() as until_ready:
            folder = Path(until_ready.enter_context(tempfile.TemporaryDirectory(prefix="credence-")))
            self.events = until_ready.enter_context(EventDelivery())
            self.chain = until_ready.enter_context(LocalChain(self._report))
            self._report(f"Chain: {self.chain.url} (starts when it is asked)")
            until_ready.callback(self._stop_services)
            self._report(
                "Starting the emulators of Firestore, Auth and Cloud Tasks, stand-ins for models and rails of payment"
            )
            # The emulators first: Firestore is the one that may be missing, Auth the one that takes longest.
            start_sender = functools.partial(start_firestore, events_address=self.events.address)
            for start in (start_sender, start_auth, start_standin):
                self._services.append(start(folder))
            self.cloud_tasks = start_cloud_tasks(folder)
            self._services.append(self.cloud_tasks.service)
            self.stripe = start_stripe(folder)
            self._services.append(self.stripe.service)
            self.paypal = start_paypal(folder)
            self._services.append(self.paypal.service)
            self.razorpay = start_razorpay(folder)
            self._services.append(self.razorpay.service)
            firestore, auth, standin, cloud_tasks, stripe, paypal, razorpay = self._services
            for service in (standin, firestore, cloud_tasks, stripe, paypal, razorpay, auth):
                service.wait_until_ready()
                if service is firestore:
                    warm_up_firestore(service.address)
                self._report(f"{service.name}: {service.address} ({time.monotonic() - started_at:.1f} s)")
            self._exit = until_ready.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    @property
    def firestore_address(self) -> str:
        """host:port."""
        return self._services[0].address

    @property
    def auth_address(self) -> str:
        """host:port."""
        return self._services[1].address

    @property
    def standin_url(self) -> str:
        """Base URL for an OpenAI client."""
        return f"http://{self._services[2].address}/v1"

    @property
    def process_ids(self) -> list[int]:
        """The processes this stack started."""
        return [service.child.popen.pid for service in self._services if service.child is not None]

    def environment(self, project_id: str) -> dict[str, str]:
        """The variables a function needs to live in this stack as `project_id`; emulators keep projects apart."""
        return {
            "ENVIRONMENT": "local",
            "PROJECT_ID": project_id,
            "GOOGLE_CLOUD_PROJECT": project_id,
            "FIRESTORE_EMULATOR_HOST": self.firestore_address,
            "FIREBASE_AUTH_EMULATOR_HOST": self.auth_address,
            "CLOUD_TASKS_EMULATOR_HOST": self.cloud_tasks.address,
            "STANDIN_URL": self.standin_url,
        }

    def _stop_services(self) -> None:
        """Ask all of them first, so that they leave at the same time."""
        for service in self._services:
            service.ask_to_stop()
        for service in self._services:
            service.stop()
        self._services.clear()
