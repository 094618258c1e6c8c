"""The Prefect flow: one scene's tiles in, one styled georeferenced map out.

    python -m nst_rs_flows.stylize_scene [SCENE...] [--style IMAGE]... [--output OUT.tif] [--config RUN.yaml]
        [--preset NAME] [--set SECTION.KEY=VALUE]...

Prefect sees the stages (compose, each level, publish) and never an array: the stages work on one session,
which stays in this process. The same pipeline runs without Prefect as ``nst-rs stylize``.
"""

import base64
import io
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from PIL import Image
from prefect import State, flow, get_run_logger, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.tasks import exponential_backoff
from pydantic import Field, WithJsonSchema

from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.named_styles import SUFFIX, shipped_folder
from nst_rs.config.sections import RunConfig, setting_names
from nst_rs.errors import NstError
from nst_rs.files import lock
from nst_rs.files.quiet import importing_tensorflow
from nst_rs.files.text import duration
from nst_rs.output.figures.wording import describe
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.runs.progress import PaintingProgress, Progress
from nst_rs_flows.board import Board
from nst_rs_flows.command import RunArguments, exit_code_of
from nst_rs_flows.leftovers import signed
from nst_rs_flows.logs import without_tracebacks
from nst_rs_flows.server import best_effort, place, wait_for_answer

if TYPE_CHECKING:  # these bring TensorFlow, which a flow needs when it runs and not when it is deployed
    from nst_rs.executors.dask.cluster import Cluster
    from nst_rs.runs.finish import Result
    from nst_rs.runs.job import Job
    from nst_rs.runs.session import Session

without_tracebacks()

SECONDS_BETWEEN_REPORTS = 2.0
THUMBNAIL_SIDE = 512
"""Pixels along the longer side of the picture that Prefect's page shows: it is kept in Prefect's database."""

Preset = Literal["legible", "balanced", "painterly", "quick"]
KNOWN = {"propertyNames": {"pattern": rf"^({'|'.join(map(re.escape, setting_names()))})(\..+)?$"}}
"""Has Prefect refuse what is no setting before a run; a setting that is a mapping may be set key by key."""
Settings = Annotated[dict[str, Any], Field(json_schema_extra=KNOWN)]
PAINTING = {
    "anyOf": [
        {
            "type": "string",
            "title": "shipped",
            "enum": sorted(path.stem for path in shipped_folder().glob(f"*{SUFFIX}")),
        },
        {"type": "string", "title": "file"},
    ]
}
"""Has Prefect's form offer the shipped styles, and take the path of any other."""
Painting = Annotated[str, WithJsonSchema(PAINTING)]
Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Hours = Annotated[float, Field(gt=0, le=24 * 14)]


def run_name() -> str:
    """Return the flow run's name: its map's, or its configuration's where that names the map."""
    parameters = flow_run.parameters
    return Path(parameters.get("output") or parameters.get("config") or "unnamed").stem


@flow(name="stylize-scene", flow_run_name=run_name, cache_result_in_memory=False)
def stylize_scene(
    scene: list[str] | None = None,
    style: list[Painting] | None = None,
    output: str | None = None,
    config: str | None = None,
    preset: Preset | None = None,
    settings: Settings | None = None,
    stage_hours: Hours = 24.0,
    served_at: Address | None = None,
) -> str | State[Any]:
    """Style a scene and return the map's path.

    Args:
        scene: GeoTIFF tiles of one scene, or folders of them.
        style: Images whose style is taken; several are blended; or one learned .style, or the name of a shipped one.
        output: The map to write, a .tif; its preview and record are written beside it.
        config: A configuration (YAML) or an earlier run's record (JSON). What else is given here replaces its values.
        preset: legible, balanced, painterly or quick: what the configuration does not decide.
        settings: "section.key" to value, for example {"schedule.levels": 4}.
        stage_hours: A stage (reading, a level, writing) that takes longer is stopped, and tried again like one that
            failed; a level goes on from where it was.
        served_at: The address under which the map's folder is served, such as http://127.0.0.1:8000: links to the map
            and its report go there, and open in a browser. Without it they name files.
    """
    outcome: str | State[Any]
    try:
        with importing_tensorflow():
            from nst_rs.runs.prepare import prepare
        base = read_configuration(config, preset, settings)
        job = prepare(name_files(base, scene or None, style or None, output or None))
        with job.alone(), signed(lock.path_for(job.outputs.tif)):
            outcome = str(run_stages(job, stage_hours * 3600, served_at).output)
    except NstError as error:
        outcome = Failed(message=str(error), data=error)  # a user's mistake: its one line, without a traceback
    wait_for_answer()  # there must be someone to be told how the run ended
    return outcome


def read_configuration(config: str | None, preset: str | None, settings: Mapping[str, Any] | None) -> RunConfig:
    """Return what a flow's parameters say beside the files' names. Raises ConfigError."""
    return override(load_config(Path(config) if config else None, preset=preset), settings or {})


def run_stages(job: "Job", seconds: float, served_at: str | None = None) -> "Result":
    """Run a job stage by stage, each for `seconds` at most, and leave its artifacts, with links to `served_at`."""
    from nst_rs.runs.session import Session

    get_run_logger().info("%s", job.inputs.scene.grid.describe())
    for row in job.outline:
        get_run_logger().info("%s", ", ".join(f"{name} {value}" for name, value in row.items()))
    reporter = StageReporter(job.outputs.tif.stem)
    with Session(job, reporter.hear, for_tiles, reporter.show) as session:
        compose.with_options(timeout_seconds=seconds)(session)
        for index, name in enumerate(job.stages):
            compute.with_options(name=f"stylize {name}", timeout_seconds=seconds)(session, index, reporter)
        result = publish.with_options(timeout_seconds=seconds)(session)
    wait_for_answer()
    reporter.close()
    leave_artifacts(job, result, served_at)
    return result


def for_tiles(address: str | None, workers: int, threads: int) -> "AbstractContextManager[Cluster]":
    """Have a cluster for a scene's tiles through Prefect's task runner for Dask."""
    from nst_rs_flows import workers as dask_workers  # brings Dask, which most runs do without

    return dask_workers.for_tiles(address, workers, threads)


def worth_another_try(_task: object, _run: object, state: State[Any]) -> bool:
    """Return whether a stage failed for a reason that may pass: a user's mistake stays, a disk may come back."""
    error = state.result(raise_on_failure=False)
    return not isinstance(error, NstError) or isinstance(error.__cause__, OSError)


# Nothing is cached or kept as a result: what a stage makes stays in the session, and the map is a file. No stage has
# a tag: Prefect would ask its server for the tag's limit before it begins one, and fail it where there is no answer.
stage = partial(
    task,
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=3,
    retry_delay_seconds=exponential_backoff(10),
    retry_jitter_factor=0.5,
    retry_condition_fn=worth_another_try,
)


@stage()
def compose(session: "Session") -> None:
    """Read the scene and map it to RGB; a shared disk may need a second try."""
    session.compose()


@stage()
def compute(session: "Session", index: int, reporter: "StageReporter") -> None:
    """Compute one stage of the picture; trying again goes on from where it was last kept.

    At most as many at a time, over all runs, as Prefect's concurrency limit named gpu, or cpu, says where there is one.
    """
    with place("gpu" if session.job.device.is_gpu else "cpu"):
        reporter.start(session.job.stages[index])
        session.compute(index)


@stage()
def publish(session: "Session") -> "Result":
    """Write the map, its preview and its record."""
    return session.publish()


class StageReporter:
    """Shows a stage's progress as an artifact of its task, and in the log."""

    def __init__(self, scene: str) -> None:
        """Have nothing to show yet of `scene`, as people call it."""
        self._scene = scene
        self._board = Board()
        self._stage: str | None = None
        self._next = 0.0

    def start(self, stage: str) -> None:
        """Begin a stage's artifact, inside its task."""
        self._stage = stage
        self._board.begin(stage, stage)
        self._next = 0.0

    def hear(self, state: Progress | PaintingProgress) -> None:
        """Bring the artifact up to date, not more often than people look."""
        done = state.stage_fraction == 1
        if self._stage and (done or (state.ends_iteration and time.monotonic() >= self._next)):
            self._board.show(self._stage, state.stage_fraction, str(state))
            get_run_logger().info("%s: %s", self._scene, state)
            self._next = time.monotonic() + SECONDS_BETWEEN_REPORTS

    def show(self, picture: SmallPicture) -> None:
        """Show a picture of the map on the way."""
        self._board.show_picture("on-the-way", picture.uri, str(picture))

    def close(self) -> None:
        """Show the last of it."""
        self._board.close()


def leave_artifacts(job: "Job", result: "Result", served_at: str | None) -> None:
    """Leave what a person looks for after the run as artifacts: the figures, the map, its page and its preview."""
    pixels = " × ".join(map(str, reversed(job.inputs.scene.grid.shape)))
    rows = [
        {"figure": "pixels", "value": pixels},
        {"figure": "tiles", "value": str(job.tiles)},
        *_losses(result.losses),
        *({"figure": name, "value": value} for name, value in describe(result.figures).items()),
        *({"figure": f"time, {stage}", "value": duration(taken)} for stage, taken in result.seconds.items()),
    ]
    page, picture = result.report, thumbnail(result.preview)
    preview = f"![{result.preview.name}]({picture})"
    files = "\n".join(f"- `{path}`" for path in (result.output, result.report, result.preview, result.record))
    with best_effort("all artifacts of the run"):
        create_table_artifact(rows, key="figures", description="What the run came to")
        create_link_artifact(
            link(result.output, served_at), link_text=result.output.name, key="map", description="The styled map"
        )
        create_link_artifact(
            link(page, served_at), link_text=page.name, key="report", description="Before and after, and figures"
        )
        create_image_artifact(picture, key="preview", description=f"{result.preview}, scaled down")
        create_markdown_artifact(f"{preview}\n\n{files}\n", key="result", description="Preview and files")


def link(path: Path, served_at: str | None) -> str:
    """Return what opens a file or folder: its address where the folder that it is in is served, else its own."""
    return path.as_uri() if served_at is None else f"{served_at.rstrip('/')}/{quote(path.name)}"


def _losses(losses: Sequence[float]) -> list[dict[str, str]]:
    """Return what the optimiser came to, where there was one."""
    if not losses:
        return []
    return [
        {"figure": "iterations", "value": str(len(losses))},
        {"figure": "loss, first", "value": f"{losses[0]:.4g}"},
        {"figure": "loss, last", "value": f"{losses[-1]:.4g}"},
    ]


def thumbnail(preview: Path) -> str:
    """Return a picture as a URL that holds it, small: a browser shows no file of the machine's on a page of a server's.

    Transparent parts become white.
    """
    with Image.open(preview) as image:
        image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        shown = Image.new("RGB", image.size, "white")
        shown.paste(image, mask=image.getchannel("A"))
    encoded = io.BytesIO()
    shown.save(encoded, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"


def main(arguments: list[str] | None = None) -> int:
    """Run the flow from the command line and return the exit code."""
    parser = RunArguments(description="Style a scene as a Prefect flow.")
    parser.add_argument("scene", nargs="*", help="GeoTIFF tiles of one scene, or folders of them")
    parser.add_argument("--style", action="append", help="an image whose style is taken; several are blended")
    parser.add_argument("--output", help="the map to write, a .tif")

    def command() -> int:
        output = stylize_scene(**parser.read(arguments))
        print(f"The map: {output}")
        return 0

    return exit_code_of(command)


if __name__ == "__main__":
    sys.exit(main())
