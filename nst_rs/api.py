"""What Python users call: the same things as on the command line.

The pipeline, and TensorFlow with it, is imported when it is first needed: inspecting a scene does without.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from nst_rs.config.loading import load_config, name_files, override, with_preset
from nst_rs.config.sections import OutputSection, RunConfig
from nst_rs.errors import ConfigError
from nst_rs.files.quiet import importing_tensorflow

if TYPE_CHECKING:
    import xarray
    from PIL.Image import Image

    from nst_rs.learned.style_file import LearnedStyle
    from nst_rs.learning.session import Listener as LearningListener
    from nst_rs.runs.finish import Result
    from nst_rs.runs.in_memory import InputFiles
    from nst_rs.runs.prepare import Forecast
    from nst_rs.runs.progress import Listener
    from nst_rs.runs.several.sweep import Comparison
    from nst_rs.scene.array import SceneArray
    from nst_rs.scene.inspect import SceneReport

Paths = str | Path | Iterable[str | Path]
"""One path, or several."""

if TYPE_CHECKING:
    Scene: TypeAlias = Paths | SceneArray | xarray.DataArray
    Style: TypeAlias = Paths | Image | Iterable[str | Path | Image] | Mapping[str | Path, float]


def stylize(
    scene: Scene,
    style: Style | None,
    output: str | Path,
    *,
    preset: str | None = None,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> Result:
    """Style a scene and write the map, its preview, its record and its report.

    A scene or a style image that is in memory is written to the folder ``OUT.inputs`` beside the map first, so that the
    record repeats the run. A run that was killed goes on when the same call is made again.

    Args:
        scene: A product, tiles of one scene, folders of them, or a STAC item; or, in memory, a
            ``SceneArray`` or a georeferenced ``xarray.DataArray``.
        style: A learned style, an image, or several images, blended evenly or, in a mapping, by weight. An image is a
            path or one of Pillow's; in a mapping, a path. None where the configuration names the style: its images, or
            classes of ground with images of their own.
        output: The map to write, a name ending in ``.tif``.
        preset: A name of ``PRESETS``, whose settings come before those of `config`.
        config: A configuration, or its file; the record of an earlier run is one too.
        settings: ``"section.key"`` to values that replace the configuration's.
        listener: Called with the state of the run, after every window or tile.

    Returns:
        Where the files are, the losses, the figures; ``result.read()`` has the map's pixels.

    Raises:
        NstError: For whatever is wrong with the input, the output or the machine: see ``nst_rs.errors``.

    >>> import nst_rs
    >>> nst_rs.stylize("nowhere.tif", "painting.jpg", "map.tif", settings={"schedule.levels": 0})
    Traceback (most recent call last):
    ...
    nst_rs.errors.ConfigError: schedule.levels: expected greater than or equal to 1, got 0
    """
    files = _files(scene, style, Path(os.path.splitext(os.path.expanduser(output))[0] + ".inputs"))
    chosen = _configure(files.scene, files.style, output, config, settings, preset)
    if files.pending:
        _write_beside(files, chosen.output)
    with importing_tensorflow():
        from nst_rs.runs import progress
        from nst_rs.runs.prepare import prepare
        from nst_rs.runs.session import run
    return run(prepare(chosen), listener or progress.ignore)


def plan(
    scene: Scene,
    style: Style | None,
    *,
    preset: str | None = None,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Forecast:
    """Return what ``stylize`` would run and what it would take; nothing is written.

    Args:
        scene: As ``stylize`` takes it, as are the others.
        style: A learned style, or images.
        preset: A name of ``PRESETS``.
        config: A configuration, or its file.
        settings: ``"section.key"`` to values that replace the configuration's.

    Returns:
        The levels and tiles, memory, operations and time. Printed, it says them in a few lines.

    Raises:
        NstError: As ``stylize`` does, but for too little memory or disk, which the forecast tells of.

    >>> import nst_rs
    >>> nst_rs.plan("nowhere.tif", "painting.jpg")
    Traceback (most recent call last):
    ...
    nst_rs.errors.SceneError: scene nowhere.tif: expected a file or folder, got nothing of that name
    """
    with TemporaryDirectory() as folder:
        files = _files(scene, style, Path(folder))
        chosen = _configure(files.scene, files.style, None, config, settings, preset)
        files.write()
        with importing_tensorflow():
            from nst_rs.runs.prepare import forecast
        return forecast(chosen)


def inspect(
    scene: Scene,
    *,
    nodata: float | None = None,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
) -> SceneReport:
    """Return what a scene is, without composing it.

    Args:
        scene: As ``stylize`` takes it.
        nodata: The stored value that means no data, where the files do not say so.
        config: A configuration, or its file.
        settings: ``"section.key"`` to values that replace the configuration's.

    Returns:
        The sensor, the grid, the bands with the share of each that is valid, and the composites that they can make.

    Raises:
        NstError: For a scene that cannot be read.

    >>> import numpy as np, nst_rs
    >>> values, bands = np.zeros((3, 40, 60), "uint8"), ("red", "green", "blue")
    >>> scene = nst_rs.SceneArray(values, (30, 0, 500000, 0, -30, 9000000), "EPSG:32725", bands=bands)
    >>> report = nst_rs.inspect(scene)
    >>> report.scene.grid.describe(), report.valid_shares, report.scene.composites
    ('60 × 40 pixels of 30 × 30 m, EPSG:32725', (1.0, 1.0, 1.0), {'true_color': ('red', 'green', 'blue')})
    """
    from nst_rs.scene.inspect import report
    from nst_rs.scene.opening import open_scene_of

    named = {} if nodata is None else {"scene.nodata": nodata}
    with TemporaryDirectory() as folder:
        files = _files(scene, None, Path(folder))
        chosen = _configure(files.scene, None, None, config, {**named, **(settings or {})})
        files.write()
        return report(open_scene_of(chosen.scene))


def learn(
    scene: Paths,
    style: Paths | Mapping[str | Path, float],
    output: str | Path,
    *,
    preset: str | None = None,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: LearningListener | None = None,
) -> LearnedStyle:
    """Learn a style once, so that any scene can be styled with it in one pass.

    Ctrl-C ends learning early and keeps what was learned; after any other end the same call goes on.

    Args:
        scene: The scenes to learn from, each a path.
        style: The images to learn the style of.
        output: The learned style to write, a name ending in ``.style``.
        preset: A name of ``PRESETS``; of its settings those of the objective count.
        config: A configuration, or its file.
        settings: ``"section.key"`` to values that replace the configuration's, such as ``{"learn.minutes": 30}``.
        listener: Called with the state of learning, after every step.

    Returns:
        The style. Its ``facts`` say what it was learned from and how good it is.

    Raises:
        NstError: For whatever is wrong with the input, the output or the machine.

    >>> import nst_rs
    >>> nst_rs.learn("scene.tif", "harvest.style", "better.style")
    Traceback (most recent call last):
    ...
    nst_rs.errors.ConfigError: style.images: expected an image to learn the style of; name one with --style
    """
    chosen = _configure(scene, style, output, config, settings, preset)
    with importing_tensorflow():
        from nst_rs.learning import session
        from nst_rs.learning.job import prepare
    return session.learn(prepare(chosen), listener or _ignore)


def sweep(
    configs: Paths,
    output: str | Path,
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Run configurations with every combination of some values, and compare them.

    Runs that are done already are skipped.

    Args:
        configs: Configuration files.
        output: The folder for the maps of all runs and for their comparison.
        vary: ``"section.key"`` to the values to try.
        settings: ``"section.key"`` to values for all runs.
        listener: Called with the state of each run.

    Returns:
        The files of the comparison, a contact sheet, the curves of the losses and a table, and the runs.

    Raises:
        NstError: As ``stylize`` does, before the first run is computed.

    >>> import nst_rs
    >>> nst_rs.sweep("runs.yaml", "sweep", vary={"objective.alpha": []})
    Traceback (most recent call last):
    ...
    nst_rs.errors.ConfigError: objective.alpha: expected at least one value to try, got none
    """
    with importing_tensorflow():
        from nst_rs.runs import progress, session
        from nst_rs.runs.several import sweep as sweeps
    folder = Path(output)
    choices = [_choices(key, values) for key, values in (vary or {}).items()]
    assignments = [f"{key}={_written(value)}" for key, value in (settings or {}).items()]
    chosen = sweeps.combinations(_paths(configs), folder, choices, assignments)
    with sweeps.alone(folder):
        for _, job in sweeps.waiting(chosen, folder):
            session.run(job, listener or progress.ignore)
        return sweeps.compare(chosen, folder)


def _files(scene: Scene, style: Style | None, folder: Path) -> InputFiles:
    from nst_rs.runs.in_memory import InputFiles

    return InputFiles.of(scene, style, folder)


def _write_beside(files: InputFiles, output: OutputSection) -> None:
    """Write input files beside a map, unless another run is at it. Raises NstError."""
    from nst_rs.files import lock
    from nst_rs.output.files import Outputs, check_output

    outputs = Outputs.of(output)
    check_output(outputs, [])
    with lock.alone(lock.path_for(outputs.tif), f"output {outputs.tif}"):
        files.write()


def _configure(
    scene: Paths,
    style: Paths | Mapping[str | Path, float] | None,
    output: str | Path | None,
    config: str | Path | RunConfig | None,
    settings: Mapping[str, Any] | None,
    preset: str | None = None,
) -> RunConfig:
    weighted = dict(style) if isinstance(style, Mapping) else style and _paths(style)
    if isinstance(config, RunConfig):
        base = with_preset(config, preset)
    else:
        base = load_config(Path(config) if config else None, (), preset)
    return override(name_files(base, _locations(scene), weighted, output), settings or {})


def _locations(named: Paths) -> tuple[str, ...]:
    """Return where the scene lies; what is no path, such as ``s3://``, must not become one."""
    return (str(named),) if isinstance(named, str | Path) else tuple(map(str, named))


def _paths(named: Paths) -> tuple[Path, ...]:
    return (Path(named),) if isinstance(named, str | Path) else tuple(Path(path) for path in named)


def _choices(key: str, values: Iterable[Any]) -> list[tuple[str, str]]:
    """Return `key` with each of its values. Raises ConfigError where there are none."""
    choices = [(key, _written(value)) for value in values]
    if not choices:
        raise ConfigError(key, expected="at least one value to try", got="none")
    return choices


def _written(value: Any) -> str:
    """Return a value as a configuration file writes it: JSON is YAML."""
    return json.dumps(value, default=str)


def _ignore(_: object) -> None:
    """Listen to nothing."""
