"""The sandbox over HTTP/2 and TLS, served by hypercorn: for clients that multiplex."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack

from hypercorn.asyncio import serve
from hypercorn.config import Config

from notary_auth.sandbox import Sandbox
from notary_auth.sandbox._platform import HOSTS
from notary_auth.sandbox._server import ADDRESS, _listen


class Http2Sandbox(Sandbox):
    """A sandbox whose hosts speak HTTP/2."""

    def start(self) -> Http2Sandbox:
        with ExitStack() as opened:
            certificate = self._certificate(opened)
            config = Config()
            config.certfile = config.keyfile = certificate
            config.errorlog = None
            config.bind = []
            for host in HOSTS:
                listener = opened.enter_context(_listen(0, 0))
                port = listener.getsockname()[1]
                self._platform.hosts[port] = host
                self._platform.urls[host] = f"https://{ADDRESS}:{port}"
                config.bind.append(f"fd://{listener.detach()}")
            loop = asyncio.new_event_loop()
            stopping = asyncio.Event()
            thread = threading.Thread(
                target=loop.run_until_complete,
                args=(serve(self._platform.app, config, shutdown_trigger=stopping.wait),),  # type: ignore[arg-type]
                daemon=True,
            )
            thread.start()

            def stop() -> None:
                loop.call_soon_threadsafe(stopping.set)
                thread.join()
                loop.close()

            opened.callback(self._platform.close)
            opened.callback(stop)
            self._running = opened.pop_all()
        return self
