"""Configurations from files and settings: read, anchored, overridden."""

import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from nst_rs.config.messages import config_error
from nst_rs.config.sections import NAMED_WEIGHTS, RunConfig
from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_json, parse_yaml, read_text
from nst_rs.files.locations import absolute, anchored

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "legible": {"objective.alpha": 1.0, "schedule.levels": 2},
    "balanced": {},
    "painterly": {"objective.alpha": 0.05},
}
"""Names for settings that go together: ``section.key`` to value. A configuration's own settings come after them."""


def load_config(path: Path | None, assignments: Iterable[str] = (), preset: str | None = None) -> RunConfig:
    """Read a run's configuration from YAML, or from the record of an earlier run, and apply ``section.key=value``.

    What neither names is taken from the `preset`, one of PRESETS, then from the defaults. Relative paths in a file
    start from its folder. Raises ConfigError for a file that cannot be read, an unknown key, or a value out of range.
    """
    data = {} if path is None else _anchor_paths(_read_mapping(path), path.parent)
    _set_missing(data, _preset(preset))
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(
                f"--set {assignment}", expected="SECTION.KEY=VALUE", do="write for example tiling.tile=512"
            )
        try:
            _set(data, name, parse_yaml(text))
        except DocumentError as error:
            raise ConfigError(f"--set {assignment}", expected="a YAML value", got=text) from error
    return _parse(data)


def override(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """Return `config` with some ``section.key`` set to other values; raises ConfigError like :func:`load_config`."""
    data = config.model_dump()
    for name, value in settings.items():
        _set(data, name, value)
    return _parse(data)


def name_files(config: RunConfig, scene: Iterable[Any] | None, style: Any, output: Any) -> RunConfig:
    """Return `config` with its files named anew; what is None leaves the configuration's own."""
    named = {"scene.paths": scene, "style.images": style, "output.path": output}
    return override(config, {key: value for key, value in named.items() if value is not None})


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return `config` with its paths made absolute, so that it means the same from any folder."""
    output, weights, start = config.output.path, config.model.weights, config.learn.start
    return override(
        config,
        {
            "scene.paths": tuple(map(absolute, config.scene.paths)),
            **{key: os.path.abspath(path) for key, path in _paths_of(config).items() if isinstance(path, Path)},
            "style.images": _by_absolute_path(config.style.images),
            "output.path": output and os.path.abspath(output),
            "style.learned": config.style.learned and os.path.abspath(config.style.learned),
            "learn.start": start and os.path.abspath(start),
            "learn.held_out": tuple(map(absolute, config.learn.held_out)),
            "model.weights": weights if weights in NAMED_WEIGHTS else os.path.abspath(weights),
        },
    )


def _paths_of(config: RunConfig) -> dict[str, Any]:
    """Return the settings that may be a path."""
    scene = config.scene
    return {"scene.sensors": scene.sensors, "scene.area": scene.area, "composite.limits": config.composite.limits}


def decided_as(config: RunConfig, made: RunConfig) -> RunConfig:
    """Return `config` with what it leaves to the machine (``auto``) decided as in `made`."""
    choices = {
        "tiling.tile": (config.tiling.tile, made.tiling.tile),
        "tiling.statistics": (config.tiling.statistics, made.tiling.statistics),
        "tiling.tiles_at_once": (config.tiling.tiles_at_once, made.tiling.tiles_at_once),
        "compute.precision": (config.compute.precision, made.compute.precision),
    }
    return override(config, {key: decided for key, (wanted, decided) in choices.items() if wanted == "auto"})


def _by_absolute_path(images: Mapping[Path, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for path, weight in images.items():
        name = os.path.abspath(path)
        found[name] = found.get(name, 0) + weight  # one image may have gone by two names
    return found


def _parse(data: Mapping[str, Any]) -> RunConfig:
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise config_error(error) from error


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except DocumentError as error:
        raise ConfigError(f"configuration {path}", expected="a readable file", got=str(error)) from error
    try:
        data = parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except DocumentError as error:
        raise ConfigError(f"configuration {path}", expected="YAML, or a run's JSON", got=str(error)) from error
    if path.suffix == ".json" and isinstance(data, dict) and "configuration" in data:
        data = data["configuration"]
    if not isinstance(data, dict):
        raise ConfigError(f"configuration {path}", expected="sections with keys", got=type(data).__name__)
    return data


def _anchor_paths(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths in `data` start from `folder`. What is not of the right shape is left for the check to name."""
    for name, key in _PATHS:
        section = data.get(name)
        if isinstance(section, dict) and key in section:
            section[key] = _anchored(folder, section[key], NAMED_WEIGHTS if key == "weights" else ())
    return data


_PATHS = (
    ("scene", "paths"),
    ("scene", "sensors"),
    ("scene", "area"),
    ("composite", "limits"),
    ("style", "images"),
    ("style", "learned"),
    ("learn", "start"),
    ("learn", "held_out"),
    ("output", "path"),
    ("model", "weights"),
)
"""Settings that may be paths."""


def _anchored(folder: Path, value: Any, names: Container[str] = ()) -> Any:
    """Return a path, a list of paths, or a mapping's keys, as starting from `folder`; `names` are no paths."""
    if isinstance(value, list):
        return [_anchored(folder, path, names) for path in value]
    if isinstance(value, dict):
        return {_anchored(folder, path, names): weight for path, weight in value.items()}
    return anchored(folder, value) if isinstance(value, str) and value not in names else value


def _preset(name: str | None) -> Mapping[str, Any]:
    if name is None:
        return {}
    if name not in PRESETS:
        raise ConfigError("preset", expected=f"one of {', '.join(PRESETS)}", got=name)
    return PRESETS[name]


def _set_missing(data: dict[str, Any], settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        section, key = name.split(".")
        present = data.setdefault(section, {})
        if isinstance(present, dict):  # what is not is left for the check to name
            present.setdefault(key, value)


def _set(data: dict[str, Any], name: str, value: Any) -> None:
    *sections, key = name.split(".")
    if not sections or not all([*sections, key]):
        raise ConfigError(f"setting {name}", expected="SECTION.KEY", do="write for example tiling.tile")
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ConfigError(f"setting {name}", expected="a key of a section", got=f"{section}, which has no keys")
    data[key] = value
