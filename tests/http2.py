"""The sandbox over HTTP/2 and TLS, served by hypercorn: for clients that multiplex."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

from hypercorn.asyncio import serve
from hypercorn.config import Config

from notary_auth.sandbox import Sandbox

from .core import open_hosts, set_running


class Http2Sandbox(Sandbox):
    """A sandbox whose hosts speak HTTP/2."""

    def start(self) -> Http2Sandbox:
        with ExitStack() as opened:
            application, certificate, descriptors = open_hosts(self, opened)
            config = Config()
            config.certfile = config.keyfile = certificate
            config.errorlog = None
            config.bind = [f"fd://{descriptor}" for descriptor in descriptors]
            loop = asyncio.new_event_loop()
            stopping = asyncio.Event()
            thread = threading.Thread(
                target=loop.run_until_complete,
                args=(serve(application, config, shutdown_trigger=stopping.wait),),  # type: ignore[arg-type]
                daemon=True,
            )
            thread.start()

            def stop() -> None:
                loop.call_soon_threadsafe(stopping.set)
                thread.join()
                loop.close()

            opened.callback(stop)
            set_running(self, opened.pop_all())
        return self
