"""The Prefect flow for a schedule: styles what has arrived in an inbox, and keeps a catalogue of what it made.

    python -m nst_rs_flows.stylize_inbox INBOX OUTPUT --style IMAGE [--config RUN.yaml] [--preset NAME]
        [--set SECTION.KEY=VALUE]...

Every scene is a run of the flow ``stylize-scene`` within this one's. What is finished is told by the catalogue, never
by Prefect.
"""

import json
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from pydantic import Field, TypeAdapter, ValidationError

from nst_rs.config.loading import name_files, override, with_absolute_paths
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, LockedError, NstError
from nst_rs.files import lock
from nst_rs.files.locations import absolute
from nst_rs.output.files import Outputs
from nst_rs.schedule.catalogue import CATALOGUE, Catalogue, Cost, Entry, clashes, path_of_lock, product_name
from nst_rs.schedule.inbox import Arrival, Inbox, settled
from nst_rs_flows.command import RunArguments, exit_code_of
from nst_rs_flows.leftovers import signed
from nst_rs_flows.retention import without_old_maps
from nst_rs_flows.scenes import Order, in_turn, on_workers, share_of_memory
from nst_rs_flows.server import best_effort, wait_for_answer
from nst_rs_flows.stylize_scene import Address, Hours, Painting, Preset, Settings, link, read_configuration

Attempts = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Workers = Annotated[int, Field(ge=1, le=1000)]
Days = Annotated[float, Field(gt=0, le=36525)]


def run_name() -> str:
    """Return the flow run's name: its inbox's."""
    return Path(flow_run.parameters["inbox"]).name or "inbox"


@flow(name="stylize-inbox", flow_run_name=run_name, cache_result_in_memory=False)
def stylize_inbox(
    inbox: str,
    output: str,
    style: list[Painting] | None = None,
    config: str | None = None,
    preset: Preset | None = None,
    settings: Settings | None = None,
    attempts: Attempts = 3,
    settle_seconds: Seconds = 60.0,
    stage_hours: Hours = 24.0,
    workers: Workers = 1,
    address: str | None = None,
    agree: bool = False,
    keep_days: Days | None = None,
    served_at: Address | None = None,
) -> State[Any]:
    """Style the scenes in an inbox that are not yet done in this style and configuration.

    Args:
        inbox: A folder, or a URL that fsspec knows, whose files and folders are a scene each.
        output: The folder for the maps: one folder in it a style and configuration, with its catalogue.
        style: Images whose style is taken; several are blended; or one learned .style, or the name of a shipped one.
        config: A configuration (YAML) or an earlier run's record (JSON). What else is given here replaces its values.
        preset: legible, balanced, painterly or quick: what the configuration does not decide.
        settings: "section.key" to value, for example {"schedule.levels": 4}.
        attempts: How often a scene that fails is tried, once in a run, until it is delivered anew.
        settle_seconds: A scene whose files change within this time is left for the next run.
        stage_hours: A stage of a scene (reading, a level, writing) that takes longer is stopped and tried again.
        workers: How many scenes are styled at a time; of several, each by a process of its own on this machine.
        address: A Dask scheduler, such as tcp://host:8786, each of whose workers styles a scene at a time. Workers is
            left out then.
        agree: Whether a map starts from those made before where it meets them, and is held to them where the scene has
            not changed: dates and neighbours then go together.
        keep_days: How many days a map is kept, with all that goes with it, whose scene is no longer in the inbox.
            Without it maps are kept for good.
        served_at: The address under which the folder for the maps is served, such as http://127.0.0.1:8000: links to
            maps and their reports go there, and open in a browser. Without it they name files.
    """
    try:
        base = with_absolute_paths(name_files(read_configuration(config, preset, settings), None, style or None, None))
        product = Path(output).absolute() / product_name(base)
        scenes = Inbox(absolute(inbox))
        scenes.check_apart(product)
        path = path_of_lock(product)
        with lock.alone(path, f"product {product}"), signed(path), making(base, workers, address) as makers:
            wishes = Wishes(stage_hours, agree, keep_days, served_at and link(product, served_at))
            work = Work(scenes, makers, Catalogue.read(product), wishes)
            outcome = work.run(attempts, settle_seconds)
    except LockedError as error:  # nothing has failed: the run that is at it makes what is there
        outcome = Cancelled(message=str(error))
    except NstError as error:
        outcome = Failed(message=str(error), data=error)
    wait_for_answer()  # there must be someone to be told how the run ended
    return outcome


@dataclass(frozen=True)
class Makers:
    """Who makes the maps, and by what."""

    config: RunConfig
    make: Callable[[Iterable[Order]], Iterator[tuple[Order, str]]]
    """Says of each order why it could not be made, or nothing."""


@contextmanager
def making(config: RunConfig, workers: int, address: str | None) -> Iterator[Makers]:
    """Have the maps made in this process, or by a scene's worker each. Raises ConfigError, ResourceError."""
    if workers == 1 and address is None:
        yield Makers(config, in_turn)
        return
    if config.compute.executor == "dask":
        raise ConfigError(
            "compute.executor dask", expected="local, where every worker styles a scene", do="leave one of the two out"
        )
    from nst_rs_flows.workers import started_for_scenes, workers_at  # brings Dask, which most runs do without

    if address is None:
        if config.compute.memory == "auto":
            config = override(config, {"compute.memory": share_of_memory(workers)})
        with started_for_scenes(workers) as runner:
            yield Makers(config, partial(on_workers, runner=runner))
        return
    if workers != 1:
        raise ConfigError("address", expected="workers left out", got=f"workers {workers}: they are who is there")
    with workers_at(f"address {address}", address) as runner:
        yield Makers(config, partial(on_workers, runner=runner))


@dataclass(frozen=True)
class Wishes:
    """What is asked of a run over an inbox besides its maps."""

    stage_hours: float
    agree: bool
    """Whether maps are to agree with those made before."""
    keep_days: float | None
    """How long maps are kept whose scenes have left the inbox; None for good."""
    served_at: str | None
    """The address under which the product's folder is served."""


@dataclass
class Work:
    """One run over an inbox."""

    inbox: Inbox
    makers: Makers
    catalogue: Catalogue
    wishes: Wishes
    ordered: list[Order] = field(default_factory=list)
    """What is being made."""

    def run(self, attempts: int, settle_seconds: float) -> State[Any]:
        """Style what is due and has arrived; return the state of the whole."""
        clashing, waiting = self._sort(attempts, settle_seconds)
        tried = self._try(waiting)
        given_up = self.catalogue.given_up(attempts)
        failed = [name for name in tried if self.catalogue.entries[name].state == "failed"]
        if self.wishes.keep_days is not None:
            self.catalogue = without_old_maps(
                self.catalogue, self.inbox.look(), self.inbox.names(), self.wishes.keep_days
            )
        self._report(clashing)
        counts = {"made": len(tried) - len(failed), "failed": len(failed) + len(clashing), "given up": len(given_up)}
        arriving = sum(entry.state == "arriving" for entry in self.catalogue.entries.values())
        message = ", ".join(f"{count} {what}" for what, count in {**counts, "arriving": arriving}.items())
        path = self.catalogue.folder / CATALOGUE
        return Failed(message=message) if failed or clashing else Completed(message=message, data=str(path))

    def _sort(self, attempts: int, settle_seconds: float) -> tuple[dict[str, str], list[Arrival]]:
        """Return what cannot be styled for its name, with the reason, and what is due and has arrived whole."""
        log = get_run_logger()
        first = self.inbox.look()
        clashing = clashes(first, self.catalogue)
        due = [a for a in self.catalogue.due(first, attempts) if a.entry not in clashing]
        log.info("%s: scenes found: %d, to be styled: %d", self.inbox.url, len(first), len(due))
        later = first
        if not all(self.catalogue.knows(arrival) for arrival in due):
            log.info("waiting %g s to see whether the new ones have arrived whole", settle_seconds)
            time.sleep(settle_seconds)
            later = self.inbox.look()
        ready = settled(due, later)
        arrived = {arrival.entry for arrival in ready}
        for arrival in due:
            if arrival.entry not in arrived:
                log.info("%s is still arriving: left for the next run", arrival.entry)
                self._put(arrival, Entry.seen(arrival))
        return clashing, ready

    def _try(self, waiting: Iterable[Arrival]) -> list[str]:
        """Have the maps made; return the scenes that were tried to the end."""
        tried = []
        try:
            for order, reason in self.makers.make(self._orders(waiting)):
                if self._note(order, reason):
                    tried.append(order.arrival.name)
                self.ordered.remove(order)
        except NstError:  # a cluster that is lost is no scene's fault
            for order in self.ordered:
                self._put(order.arrival, order.before or Entry.seen(order.arrival))
            raise
        return tried

    def _orders(self, waiting: Iterable[Arrival]) -> Iterator[Order]:
        """Order one map after the other, as they are asked for; what is ordered has had an attempt more."""
        for arrival in waiting:
            before = self.catalogue.entries.get(arrival.name)
            self._put(arrival, self.catalogue.begun(arrival))
            tif = self.catalogue.folder / f"{arrival.name}.tif"
            hours, served_at = self.wishes.stage_hours, self.wishes.served_at
            order = Order(self.inbox, arrival, tif, self.makers.config, hours, before, self._earlier(tif), served_at)
            self.ordered.append(order)
            yield order

    def _earlier(self, tif: Path) -> tuple[Path, ...]:
        """Return the maps to agree with, the latest first: all that are made but the one to make."""
        if not self.wishes.agree:
            return ()
        made = sorted((entry for entry in self.catalogue.entries.values() if entry.map), key=lambda x: x.time)
        paths = (self.catalogue.folder / entry.map for entry in reversed(made))
        return tuple(path for path in paths if path != tif and path.is_file())

    def _note(self, order: Order, reason: str) -> bool:
        """Put down what has become of an order; return whether it was tried to the end."""
        arrival, begun = order.arrival, self.catalogue.entries[order.arrival.name]
        if not reason:
            outputs = Outputs(order.tif)
            item = json.loads(outputs.item.read_text(encoding="utf-8"))
            self._put(arrival, begun.made(order.tif, item, Cost.beside(outputs.record)))
        elif settled([arrival], self.inbox.look()):
            get_run_logger().error("%s failed, attempt %d: %s", arrival.name, begun.attempts, reason)
            self._put(arrival, begun.failed(reason))
        else:
            get_run_logger().info("%s has changed meanwhile: left for the next run", arrival.entry)
            self._put(arrival, order.before or Entry.seen(arrival))
            return False
        return True

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
                "seconds": e.seconds,
                "core-seconds": e.core_seconds,
                "GPU-seconds": e.gpu_seconds,
            }
            for name, e in sorted(self.catalogue.entries.items())
        ]
        refused = [{"scene": name, "state": "refused", "map or reason": reason} for name, reason in clashing.items()]
        path = self.catalogue.folder / CATALOGUE
        wait_for_answer()
        with best_effort("all artifacts of the run"):
            create_table_artifact(
                [*refused, *rows], key="inbox", description=f"What became of the scenes in {self.inbox.url}"
            )
            create_link_artifact(
                link(path, self.wishes.served_at), link_text=str(path), key="catalogue", description="The maps by place"
            )
            if self.wishes.served_at is not None:
                create_markdown_artifact(
                    self._reports(self.wishes.served_at), key="reports", description="The maps' reports"
                )

    def _reports(self, served_at: str) -> str:
        """Return a list of links to the reports of all maps, in Markdown."""
        maps = {name: entry.map for name, entry in sorted(self.catalogue.entries.items()) if entry.map}
        return "\n".join(f"- [{name}]({link(Outputs(Path(map_)).report, served_at)})" for name, map_ in maps.items())


def days(text: str) -> float:
    """Return a number of days that is given on the command line. Raises ArgumentTypeError."""
    try:
        return TypeAdapter(Days).validate_python(text)
    except ValidationError as error:
        raise ArgumentTypeError(f"expected a number of days above 0, got {text}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the flow from the command line and return the exit code: 1 where a scene failed, 2 for a mistake."""
    parser = RunArguments(description="Style what has arrived in an inbox, as a Prefect flow.")
    parser.add_argument("inbox", help="a folder, or a URL that fsspec knows")
    parser.add_argument("output", help="the folder for the maps and their catalogue")
    parser.add_argument("--style", action="append", help="an image whose style is taken; several are blended")
    parser.add_argument("--agree", action="store_true", help="let maps agree with those made before where they meet")
    parser.add_argument(
        "--keep-days", type=days, help="how long maps are kept whose scenes have left the inbox; else for good"
    )

    def command() -> int:
        state = stylize_inbox(**parser.read(arguments), return_state=True)
        if state.is_cancelled():
            raise LockedError(str(state.message))
        error = state.result(raise_on_failure=False)
        if isinstance(error, NstError):
            raise error
        print(state.message)
        return 0 if state.is_completed() else 1

    return exit_code_of(command)


if __name__ == "__main__":
    sys.exit(main())
