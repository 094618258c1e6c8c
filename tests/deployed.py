"""A Prefect server and what asks it, as an operator starts them: every one a process by itself, on loopback."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

CHECKOUT = Path(__file__).parents[1]
PREFECT = (sys.executable, "-m", "prefect")
PATIENT = {"PREFECT_CLIENT_MAX_RETRIES": "12"}
"""What a worker is started with so as to outlast its server's absence."""
PATIENCE = 900.0
"""Seconds for anything to happen: a first start migrates a database, and the machine may be busy."""


@dataclass
class Server:
    """A Prefect server, and the environment in which commands find it."""

    port: int
    home: Path
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def at(cls, home: Path) -> "Server":
        port = free_port()
        settings = {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        return cls(port, home, {**os.environ, **settings})

    @property
    def url(self) -> str:
        return self.environment["PREFECT_API_URL"]

    def start(self) -> None:
        command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        wait_for(self.is_up)

    def stop(self) -> None:
        assert self.process is not None
        end(self.process)

    def ask(self, path: str, body: Any = None, method: str = "POST") -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(  # noqa: S310
            f"{self.url}/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        return wait_for(partial(answer_of, request))[0]

    def is_up(self) -> bool:
        try:
            return bool(self.ask("health", method="GET"))
        except (URLError, ConnectionError):
            return False

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*PREFECT, "--no-prompt", *arguments]
        return subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )


def wait_for(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.5)
    raise TimeoutError


@contextmanager
def running(*arguments: str, environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run a command of Prefect's for the time of the context, with all that it starts."""
    with log.open("w") as file:
        process = subprocess.Popen([*PREFECT, *arguments], env=environment, stdout=file, stderr=file)
        try:
            yield
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answer_of(request: urllib.request.Request) -> tuple[Any] | None:
    """Return the server's answer; None where it has no time for one."""
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return (json.load(answer),)
    except HTTPError as error:
        if error.code != 503:
            raise
        error.close()
        return None


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
