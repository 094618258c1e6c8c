"""The Prefect flow: scenes and a painting in, one learned style out.

    python -m nst_rs_flows.learn_style SCENE... --style IMAGE --output NAME.style [--config RUN.yaml]
        [--preset NAME] [--set SECTION.KEY=VALUE]...

The same runs without Prefect as ``nst-rs learn``. Learning that fails is tried again and goes on from its last minute.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run
from prefect.states import Failed

from nst_rs.config.loading import name_files
from nst_rs.errors import NstError
from nst_rs.files import lock
from nst_rs.files.quiet import importing_tensorflow
from nst_rs.learned.style_file import Facts
from nst_rs_flows.board import Board
from nst_rs_flows.command import RunArguments, exit_code_of
from nst_rs_flows.leftovers import signed
from nst_rs_flows.server import best_effort, wait_for_answer
from nst_rs_flows.stylize_scene import (
    Hours,
    Preset,
    Settings,
    read_configuration,
    stage,
)

if TYPE_CHECKING:  # these bring TensorFlow
    from nst_rs.learning.job import LearningJob
    from nst_rs.learning.session import LearningProgress

SECONDS_BETWEEN_REPORTS = 5.0


def run_name() -> str:
    """Return the flow run's name: its style's."""
    parameters = flow_run.parameters
    return Path(parameters.get("output") or parameters.get("config") or "unnamed").stem


@flow(name="learn-style", flow_run_name=run_name, cache_result_in_memory=False)
def learn_style(
    scene: list[str] | None = None,
    style: list[str] | None = None,
    output: str | None = None,
    config: str | None = None,
    preset: Preset | None = None,
    settings: Settings | None = None,
    stage_hours: Hours = 24.0,
) -> str | State[Any]:
    """Learn a style from scenes and return its path.

    Args:
        scene: Scenes to learn from, each a GeoTIFF or a folder of one scene's tiles.
        style: Images whose style is learned; several are blended.
        output: The learned style to write, a .style.
        config: A configuration (YAML). What else is given here replaces its values.
        preset: legible, balanced, painterly or quick: what the configuration does not decide.
        settings: "section.key" to value, for example {"learn.minutes": 30}.
        stage_hours: Learning that takes longer is stopped, and tried again: it goes on from where it was.
    """
    outcome: str | State[Any]
    try:
        with importing_tensorflow():
            from nst_rs.learning.job import prepare
        base = read_configuration(config, preset, settings)
        job = prepare(name_files(base, scene or None, style or None, output or None))
        with job.alone(), signed(lock.path_for(job.output)):
            facts = learn.with_options(timeout_seconds=stage_hours * 3600)(job)
            wait_for_answer()
        report(facts)
        outcome = str(job.output)
    except NstError as error:
        outcome = Failed(message=str(error), data=error)  # a user's mistake: its one line, without a traceback
    wait_for_answer()  # there must be someone to be told how the run ended
    return outcome


@stage()
def learn(job: "LearningJob") -> Facts:
    """Learn, judge and write the style."""
    from nst_rs.learning.session import LearningSession

    reporter = LearningReporter()
    session = LearningSession(job, reporter.hear)
    session.learn()
    facts = session.finish(compared=True).facts
    reporter.close()
    return facts


class LearningReporter:
    """Shows how far learning is as an artifact, and in the log."""

    def __init__(self) -> None:
        """Begin the artifact, inside the task."""
        self._board = Board()
        self._board.begin("learning", "reading the scenes")
        self._next = 0.0

    def hear(self, state: "LearningProgress") -> None:
        """Bring the artifact up to date, not more often than people look."""
        if state.fraction == 1 or time.monotonic() >= self._next:
            self._board.show("learning", state.fraction, str(state))
            get_run_logger().info("%s", state)
            self._next = time.monotonic() + SECONDS_BETWEEN_REPORTS

    def close(self) -> None:
        """Show the last of it."""
        self._board.close()


def report(facts: Facts) -> None:
    """Leave how good the style is on what it did not learn from."""
    rows = [{"figure": "steps", "value": str(facts.learning.steps)}]
    held_out = {} if facts.held_out is None else facts.held_out.model_dump(mode="json")
    rows += [{"figure": name.replace("_", " "), "value": str(value)} for name, value in held_out.items()]
    with best_effort("the figures of learning"):
        create_table_artifact(rows, key="held-out", description="On windows that were held out from learning")


def main(arguments: list[str] | None = None) -> int:
    """Run the flow from the command line and return the exit code."""
    parser = RunArguments(description="Learn a style as a Prefect flow.")
    parser.add_argument("scene", nargs="*", help="scenes, each a GeoTIFF or a folder of tiles")
    parser.add_argument("--style", action="append", help="an image whose style is learned; several are blended")
    parser.add_argument("--output", help="the learned style to write, a .style")

    def command() -> int:
        output = learn_style(**parser.read(arguments))
        print(f"The style: {output}")
        return 0

    return exit_code_of(command)


if __name__ == "__main__":
    sys.exit(main())
