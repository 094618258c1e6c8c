"""What Prefect's page shows of a run while it computes. Whoever computes never waits for the page."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from uuid import UUID

from prefect.artifacts import create_image_artifact, create_progress_artifact, update_progress_artifact

from nst_rs_flows.server import best_effort

SECONDS_FOR_THE_LAST = 60.0


@dataclass(frozen=True)
class _Progress:
    """How far a stage is."""

    stage: str
    attempt: int
    percent: float
    text: str


class Board:
    """Shows progress as artifacts, one per stage and attempt, and pictures, from a thread of its own.

    Where the server is slow or away only the latest of a stage is sent, when there is someone to take it.
    """

    def __init__(self) -> None:
        """Show nothing yet."""
        self._sender = ThreadPoolExecutor(1, "progress")
        self._lock = threading.Lock()
        self._latest: dict[str, _Progress] = {}
        self._artifacts: dict[tuple[str, int], UUID] = {}
        self._attempts: dict[str, int] = {}

    def begin(self, stage: str, text: str) -> None:
        """Show a new artifact for `stage`, called from the task that it belongs to."""
        self._attempts[stage] = self._attempts.get(stage, 0) + 1
        self.show(stage, 0.0, text)

    def show(self, stage: str, fraction: float, text: str) -> None:
        """Bring a stage's artifact up to date, soon."""
        with self._lock:
            self._latest[stage] = _Progress(stage, self._attempts[stage], 100.0 * fraction, text)
        self._sender.submit(copy_context().run, self._send, stage)

    def show_picture(self, key: str, uri: str, text: str) -> None:
        """Show a picture, soon, as an artifact of `key`, called from the task that it belongs to.

        Prefect keeps the pictures of one key in a row.
        """
        self._sender.submit(copy_context().run, self._send_picture, key, uri, text)

    def close(self) -> None:
        """Send what is left, for a minute at most."""
        last = self._sender.submit(lambda: None)
        with best_effort("the last of the progress"):
            last.result(SECONDS_FOR_THE_LAST)
        self._sender.shutdown(wait=False, cancel_futures=True)

    def _send(self, stage: str) -> None:
        with self._lock:
            latest = self._latest.pop(stage, None)
        if latest is None:  # sent already, with an earlier turn
            return
        with best_effort(f"the progress of {stage}"):
            self._put(latest)

    def _send_picture(self, key: str, uri: str, text: str) -> None:
        with best_effort(f"the picture {key}"):
            create_image_artifact(uri, key=key, description=text)

    def _put(self, latest: _Progress) -> None:
        which = latest.stage, latest.attempt
        if which in self._artifacts:
            update_progress_artifact(self._artifacts[which], progress=latest.percent, description=latest.text)
        else:
            key = latest.stage.replace(" ", "-")
            self._artifacts[which] = create_progress_artifact(latest.percent, key=key, description=latest.text)
