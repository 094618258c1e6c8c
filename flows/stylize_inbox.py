"""The Prefect flow for a schedule: styles what has arrived in an inbox, and keeps a catalogue of what it made.

    python -m flows.stylize_inbox INBOX OUTPUT --style IMAGE [--config RUN.yaml]

Every scene is a run of the flow ``stylize-scene`` within this one's. What is finished is told by the catalogue, never
by Prefect.
"""

# isort: split
from flows.stylize_scene import Hours, Preset, stage, stylize_scene  # first: it sets what Prefect reads on import

# isort: split
import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from nst_rs import lock
from nst_rs.catalogue import CATALOGUE, Catalogue, Entry, clashes, path_of_lock, product_name
from nst_rs.config import RunConfig, load_config, name_files, override, with_absolute_paths
from nst_rs.errors import NstError
from nst_rs.inbox import Arrival, Inbox, settled
from nst_rs.publish import Outputs
from nst_rs.sweep import Variant, is_done

LONGEST_REASON = 500

Attempts = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[float, Field(ge=0, le=3600)]


def run_name() -> str:
    """Return the flow run's name: its inbox's."""
    return Path(flow_run.parameters["inbox"]).name or "inbox"


@flow(name="stylize-inbox", flow_run_name=run_name, cache_result_in_memory=False)
def stylize_inbox(
    inbox: str,
    output: str,
    style: list[str] | None = None,
    config: str | None = None,
    preset: Preset | None = None,
    settings: dict[str, Any] | None = None,
    attempts: Attempts = 3,
    settle_seconds: Seconds = 60.0,
    stage_hours: Hours = 24.0,
) -> State[Any]:
    """Style the scenes in an inbox that are not yet done in this style and configuration.

    Args:
        inbox: A folder, or a URL that fsspec knows, whose files and folders are a scene each.
        output: The folder for the maps: one folder in it a style and configuration, with its catalogue.
        style: Images whose style is taken; several are blended.
        config: A configuration (YAML) or an earlier run's record (JSON). What else is given here replaces its values.
        preset: legible, balanced or painterly: what the configuration does not decide.
        settings: "section.key" to value, for example {"schedule.levels": 4}.
        attempts: How often a scene that fails is tried, once in a run, until it is delivered anew.
        settle_seconds: A scene whose files change within this time is left for the next run.
        stage_hours: A stage of a scene (reading, a level, writing) that takes longer is stopped and tried again.
    """
    try:
        base = override(load_config(Path(config) if config else None, preset=preset), settings or {})
        base = with_absolute_paths(name_files(base, None, style or None, None))
        product = Path(output).absolute() / product_name(base)
        with lock.alone(path_of_lock(product), f"product {product}"):
            given = {"style": style, "config": config, "preset": preset, "settings": settings}
            work = Work(Inbox(inbox), base, {**given, "stage_hours": stage_hours}, Catalogue.read(product))
            return work.run(attempts, settle_seconds)
    except NstError as error:
        return Failed(message=str(error), data=error)


@stage(tags={"reading"})
def fetch(inbox: Inbox, arrival: Arrival, folder: Path) -> Path:
    """Copy a scene from where it was delivered, where that is not this machine."""
    return inbox.fetch(arrival, folder)


@dataclass
class Work:
    """One run over an inbox."""

    inbox: Inbox
    config: RunConfig
    parameters: Mapping[str, Any]
    """What every scene's flow is given."""
    catalogue: Catalogue

    def run(self, attempts: int, settle_seconds: float) -> State[Any]:
        """Style what is due and has arrived; return the state of the whole."""
        clashing, waiting = self._sort(attempts, settle_seconds)
        tried = [arrival for arrival in waiting if self._style(arrival)]
        given_up = self.catalogue.given_up(attempts)
        failed = [a.name for a in tried if self.catalogue.entries[a.name].state == "failed"]
        self._report(clashing)
        counts = {"made": len(tried) - len(failed), "failed": len(failed) + len(clashing), "given up": len(given_up)}
        arriving = sum(entry.state == "arriving" for entry in self.catalogue.entries.values())
        message = ", ".join(f"{count} {what}" for what, count in {**counts, "arriving": arriving}.items())
        path = self.catalogue.folder / CATALOGUE
        return Failed(message=message) if failed or clashing else Completed(message=message, data=str(path))

    def _sort(self, attempts: int, settle_seconds: float) -> tuple[dict[str, str], list[Arrival]]:
        """Return what cannot be styled for its name, with the reason, and what is due and has arrived whole."""
        first = self.inbox.look()
        clashing = clashes(first, self.catalogue)
        due = [a for a in self.catalogue.due(first, attempts) if a.entry not in clashing]
        later = first
        if not all(self.catalogue.knows(arrival) for arrival in due):
            time.sleep(settle_seconds)
            later = self.inbox.look()
        ready = settled(due, later)
        arrived = {arrival.entry for arrival in ready}
        for arrival in due:
            if arrival.entry not in arrived:
                get_run_logger().info("%s is still arriving: left for the next run", arrival.entry)
                self._put(arrival, Entry.seen(arrival))
        return clashing, ready

    def _style(self, arrival: Arrival) -> bool:
        """Make a scene's map, or say why not; return whether it was tried to the end."""
        before, begun = self.catalogue.entries.get(arrival.name), self.catalogue.begun(arrival)
        self._put(arrival, begun)
        tif = self.catalogue.folder / f"{arrival.name}.tif"
        reason = self._make(arrival, tif)
        if not reason:
            item = json.loads(Outputs(tif).item.read_text(encoding="utf-8"))
            self._put(arrival, begun.made(tif, item["geometry"]))
        elif settled([arrival], self.inbox.look()):
            get_run_logger().error("%s failed, attempt %d: %s", arrival.name, begun.attempts, reason)
            self._put(arrival, begun.failed(reason))
        else:
            get_run_logger().info("%s has changed meanwhile: left for the next run", arrival.entry)
            self._put(arrival, before or Entry.seen(arrival))
            return False
        return True

    def _make(self, arrival: Arrival, tif: Path) -> str:
        """Make a scene's map where it is not yet made; return why it could not be, or nothing."""
        incoming = self.catalogue.folder / ".incoming"
        try:
            fetched = fetch(self.inbox, arrival, incoming, return_state=True)
            if not fetched.is_completed():
                return _reason(fetched)
            scene = str(fetched.result())
            if self._is_made(scene, tif):
                return ""
            state = stylize_scene(scene=[scene], output=str(tif), **self.parameters, return_state=True)
            return "" if state.is_completed() else _reason(state)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _is_made(self, scene: str, tif: Path) -> bool:
        """Whether a run that could not say so any more has made the map."""
        try:
            return is_done(Variant(tif.stem, name_files(self.config, [scene], None, tif)))
        except NstError:
            return False  # it will be told when the scene is styled

    def _put(self, arrival: Arrival, entry: Entry) -> None:
        self.catalogue = self.catalogue.with_entry(arrival.name, entry)

    def _report(self, clashing: Mapping[str, str]) -> None:
        """Leave what a person looks for after the run: what became of every scene, and the catalogue."""
        rows = [
            {
                "scene": name,
                "state": e.state,
                "attempts": e.attempts,
                "map or reason": e.map or e.reason,
                "since": e.time,
            }
            for name, e in sorted(self.catalogue.entries.items())
        ]
        refused = [{"scene": name, "state": "refused", "map or reason": reason} for name, reason in clashing.items()]
        create_table_artifact(
            [*refused, *rows], key="inbox", description=f"What became of the scenes in {self.inbox.url}"
        )
        path = self.catalogue.folder / CATALOGUE
        create_link_artifact(path.as_uri(), link_text=str(path), key="catalogue", description="The maps by place")


def _reason(state: State[Any]) -> str:
    """Return why a run failed, in one line."""
    error = state.result(raise_on_failure=False)
    reason = str(error) if isinstance(error, NstError) else str(state.message or error)
    return " ".join(reason.split())[:LONGEST_REASON]


def main(arguments: list[str] | None = None) -> int:
    """Run the flow from the command line and return the exit code: 1 where a scene failed, 2 for a mistake."""
    parser = argparse.ArgumentParser(description="Style what has arrived in an inbox, as a Prefect flow.")
    parser.add_argument("inbox", help="a folder, or a URL that fsspec knows")
    parser.add_argument("output", help="the folder for the maps and their catalogue")
    parser.add_argument("--style", action="append", help="an image whose style is taken; several are blended")
    parser.add_argument("--config", help="a configuration (YAML), or an earlier run's record (JSON)")
    state = stylize_inbox(**vars(parser.parse_args(arguments)), return_state=True)
    error = state.result(raise_on_failure=False)
    if isinstance(error, NstError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main())
