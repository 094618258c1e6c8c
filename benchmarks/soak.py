"""A night with faults: an inbox is styled on a cluster while Prefect's server, a worker and the scheduler are killed.

    python -m benchmarks soak [--scenes 20] [--away 10] [--every 5]

Afterwards every map is compared with the one that this process makes of the same scene by itself.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.night import SETTINGS, Night, begun, kill
from benchmarks.scenes import STYLE
from nst_rs import stylize
from nst_rs.cli.signals import stopped_like_ctrl_c
from nst_rs.output.files import Outputs
from nst_rs.schedule.catalogue import CATALOGUE

NAME = "a night with faults"
SHARES = (0.15, 0.35, 0.65)
"""The shares of the maps after which the worker, the server and the scheduler are killed."""
OPEN = ("Pending", "Running")
"""The states on Prefect's page of runs that are not over."""


@dataclass(frozen=True)
class Event:
    """Something that was killed, and what came of it."""

    minute: float
    killed: str
    seen: str
    seconds: float
    """Until work went on: since the kill, or since what was away is back."""

    def __str__(self) -> str:
        """Return it as a row of the table."""
        return f"| {self.minute:.1f} | {self.killed} | {self.seen} | {self.seconds:.0f} |"


def main(arguments: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Pass a night; return its figures, and what is wrong with its maps or what is told of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak")
    parser.add_argument("--scenes", type=int, default=20, help="scenes in the inbox, 6 at least")
    parser.add_argument("--away", type=float, default=10, help="minutes for which Prefect's server is away")
    parser.add_argument("--every", type=int, default=5, help="minutes from one run over the inbox to the next")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"All of it lies in {folder} until it has gone well.", flush=True)
    with stopped_like_ctrl_c(), begun(folder, options) as night:
        figures, wrong = pass_the_night(night, options.away)
    if not wrong:
        shutil.rmtree(folder)
    return figures, wrong


def pass_the_night(night: Night, away: float) -> tuple[dict[str, float], list[str]]:
    """Kill one part after the other, wait for the end, look at everything; return figures, and what is wrong."""
    events, wrong = [], []
    print("| minute | killed | seen | seconds until work went on |\n|---|---|---|---|", flush=True)
    try:
        for event in _events(night, away):
            events.append(event)
            print(event, flush=True)
    except TimeoutError as error:
        wrong.append(f"the night did not end: {error}")
    minutes, states = night.minute, night.states()
    spoilt = against_undisturbed(night)
    wrong += [*spoilt, *faults_of_the_account(night)]
    wrong += [f"{states[state]} runs are {state} on Prefect's page" for state in OPEN if states[state]]
    right = len(night.scenes) - len(spoilt)
    every = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    seen = (
        f"{right} of {len(night.scenes)} maps right; {len(night.made)} made in the catalogue; runs on the page: {every}"
    )
    print(f"| {minutes:.1f} | the end | {seen} | |", flush=True)
    seconds = {f"{event.killed.split(',')[0]}: seconds until work went on": event.seconds for event in events}
    return {"scenes": len(night.scenes), "right maps": right, "minutes": minutes, **seconds}, wrong


def _events(night: Night, away: float) -> Iterator[Event]:
    """Kill each when its share of the maps is made. Raises TimeoutError where that, or the end, does not come."""
    for kill_part, share in zip((kill_worker, kill_server, kill_scheduler), SHARES, strict=True):
        due = int(share * len(night.scenes))
        night.wait_for(lambda due=due: len(night.made) >= due)
        yield kill_part(night, away)
    night.wait_for(lambda: len(night.made) == len(night.scenes) and not set(OPEN) & set(night.states()))


def kill_worker(night: Night, _away: float) -> Event:
    """Kill one of the two workers, with its nanny, in the middle of a scene."""
    scene, pid = next(iter(night.wait_for(night.at_work).items()))
    minute, began = night.minute, time.monotonic()
    kill(next(part.pids() for part in night.parts.values() if pid in part.pids()))
    night.wait_for(lambda: night.at_work().get(scene, pid) != pid or scene in night.made)
    seen = "another worker went on with the scene"
    return Event(minute, f"a worker of Dask's, in the middle of {scene}", seen, time.monotonic() - began)


def kill_server(night: Night, away: float) -> Event:
    """Kill Prefect's server, and start it again after `away` minutes."""
    night.wait_for(night.at_work)
    minute, made, waiting = night.minute, len(night.made), "is away: waiting for it"
    said, back = night.said(waiting), time.monotonic() + 60 * away
    kill([night.server.process.pid] if night.server.process else [])
    night.wait_for(lambda: time.monotonic() > back)
    seen = f"{len(night.made) - made} maps made meanwhile, {night.said(waiting) - said} runs said that they wait"
    night.server.start()
    since, began = time.time(), time.monotonic()
    night.wait_for(lambda: night.last_kept() > since)
    return Event(minute, f"Prefect's server, for {away:g} minutes", seen, time.monotonic() - began)


def kill_scheduler(night: Night, _away: float) -> Event:
    """Kill Dask's scheduler in the middle of a scene."""
    scenes, before = night.wait_for(night.at_work), {pid for part in night.parts.values() for pid in part.pids()}
    minute, began = night.minute, time.monotonic()
    kill(night.parts["scheduler"].pids())
    failed = night.wait_for(lambda: next((run for run in night.runs() if "scheduler" in _message(run)), None))
    night.wait_for(lambda: set(night.at_work().values()) - before)
    seen = f"the inbox's run {failed['state_name']}: “{_message(failed).split(';')[0]}”; the next run went on"
    return Event(minute, f"Dask's scheduler, in the middle of {', '.join(scenes)}", seen, time.monotonic() - began)


def _message(run: Mapping[str, Any]) -> str:
    return str((run["state"] or {}).get("message") or "")


def faults_of_the_account(night: Night) -> list[str]:
    """Return what the catalogue does not tell as it was, and what lies beside the maps."""
    account = [
        f"{name}: the catalogue says {entry.state}, attempts {entry.attempts}, reason {entry.reason or 'none'}"
        for name, entry in night.entries.items()
        if (entry.state, entry.attempts, entry.reason) != ("made", 1, "")
    ]
    early = [f"{name}: called made while its map was not there" for name in sorted(night.missing)]
    expected = {night.product / CATALOGUE, *(path for s in night.scenes for path in Outputs(night.product / s.name))}
    left = [f"{path.name}: lies beside the maps" for path in sorted(set(night.product.iterdir()) - expected)]
    return [*account, *early, *left]


def against_undisturbed(night: Night) -> list[str]:
    """Make every map again in this process; return what the night's are not that these are."""
    alone = night.folder / "alone"
    alone.mkdir()
    differences = {}
    for scene in night.scenes:
        made = stylize(scene, STYLE, alone / scene.name, settings=SETTINGS).output
        differences[scene.stem] = _difference(night.product / scene.name, made)
    return [f"{name}: {difference}" for name, difference in differences.items() if difference]


def _difference(tif: Path, undisturbed: Path) -> str:
    """Return in words how a map differs from the undisturbed run's; nothing where it is the same."""
    if not tif.is_file():
        return "no map"
    with rasterio.open(tif) as found, rasterio.open(undisturbed) as expected:
        if (found.crs, found.transform, found.shape) != (expected.crs, expected.transform, expected.shape):
            return "another place"
        most = int(np.abs(found.read().astype(int) - expected.read()).max())
    return f"pixels differ by up to {most}" if most else ""
