"""What Python users call: the same three things as on the command line.

The pipeline, and TensorFlow with it, is imported when it is first needed: inspecting a scene does without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst_rs.config.loading import load_config, name_files, override
from nst_rs.config.sections import RunConfig

if TYPE_CHECKING:
    from nst_rs.runs.finish import Result
    from nst_rs.runs.prepare import Forecast
    from nst_rs.runs.progress import Listener
    from nst_rs.scene.inspect import SceneReport

Paths = str | Path | Iterable[str | Path]
Styles = Paths | Mapping[str | Path, float]


def stylize(
    scene: Paths,
    style: Styles,
    output: str | Path,
    *,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> Result:
    """Style a scene and write the map, its preview and its record.

    `scene` is a product, tiles of one scene, folders of them, or a STAC item; `style` a learned style, an image, or
    several, blended evenly or, in a mapping, by weight; `config` a configuration or its file; `settings` maps
    ``"section.key"`` to values that replace the configuration's. `listener` hears of progress. Raises NstError for
    whatever is wrong with the input.
    """
    from nst_rs.runs import progress
    from nst_rs.runs.prepare import prepare
    from nst_rs.runs.session import run

    return run(prepare(_configure(scene, style, output, config, settings)), listener or progress.ignore)


def plan(
    scene: Paths,
    style: Styles,
    *,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Forecast:
    """Return what :func:`stylize` would run and what it would take; writes nothing. Raises NstError like it."""
    from nst_rs.runs.prepare import forecast

    return forecast(_configure(scene, style, None, config, settings))


def inspect(
    scene: Paths,
    *,
    nodata: float | None = None,
    config: str | Path | RunConfig | None = None,
    settings: Mapping[str, Any] | None = None,
) -> SceneReport:
    """Return a scene's sensor, grid, bands, valid share and the composites it can make. Raises NstError."""
    from nst_rs.scene.inspect import report
    from nst_rs.scene.opening import open_scene_of

    named = {} if nodata is None else {"scene.nodata": nodata}
    return report(open_scene_of(_configure(scene, None, None, config, {**named, **(settings or {})}).scene))


def _configure(
    scene: Paths,
    style: Styles | None,
    output: str | Path | None,
    config: str | Path | RunConfig | None,
    settings: Mapping[str, Any] | None,
) -> RunConfig:
    weighted = dict(style) if isinstance(style, Mapping) else style and _paths(style)
    base = config if isinstance(config, RunConfig) else load_config(Path(config) if config else None)
    return override(name_files(base, _locations(scene), weighted, output), settings or {})


def _locations(named: Paths) -> tuple[str, ...]:
    """Return where the scene lies; what is no path, such as ``s3://``, must not become one."""
    return (str(named),) if isinstance(named, str | Path) else tuple(map(str, named))


def _paths(named: Paths) -> tuple[Path, ...]:
    return (Path(named),) if isinstance(named, str | Path) else tuple(Path(path) for path in named)
