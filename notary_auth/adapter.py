"""The interface for adapters: what notary-auth needs of an HTTP client, and what it gives for that.

An adapter asks an `Account` four questions: `cached_signature`, `sign`, `reauthorize`, `log_out`. All but the
first are generators of steps: `SendControl` and `Drain` are the adapter's to do, the others are done by `perform`
in a thread, or by `aperform` in an asyncio or trio task. `Adapter` has the constructor and the errors, and goes
through the steps (`_run`, `_arun`); the page "Add a client" has an example.
"""

from ._adapters.auth import Adapter
from ._adapters.drivers import aperform, arun, perform, run
from ._core.steps import (
    Call,
    Drain,
    Received,
    SendControl,
    Signature,
    Sleep,
    Step,
    Steps,
    WaitForLogin,
)
from ._wire.messages import ControlBody, ControlRequest, ControlResponse
from .errors import client_errors

__all__ = [
    "Adapter",
    "Call",
    "ControlBody",
    "ControlRequest",
    "ControlResponse",
    "Drain",
    "Received",
    "SendControl",
    "Signature",
    "Sleep",
    "Step",
    "Steps",
    "WaitForLogin",
    "aperform",
    "arun",
    "client_errors",
    "perform",
    "run",
]
