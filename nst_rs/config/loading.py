"""Configurations read from files and assignments, and changed by decisions."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_rs.config.base import DecidedByMachine, Section
from nst_rs.config.messages import config_error
from nst_rs.config.paths import Place, may_hold_paths
from nst_rs.config.sections import RunConfig, sections
from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_json, parse_yaml, read_text
from nst_rs.files.locations import absolute, anchored

Decisions = Mapping[str, Any]
"""What a scene or a machine decides of a configuration: ``section.key`` → value. Decisions are merged like any
mappings, and :func:`override` applies them all at once."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "legible": {"objective.alpha": 1.0, "schedule.levels": 2},
    "balanced": {},
    "painterly": {"objective.alpha": 0.05},
    "quick": {"schedule.levels": 1, "schedule.iterations": 20, "schedule.init": "learned"},
}
"""Names for settings that go together: ``section.key`` to value. A configuration's own settings come after them."""


def load_config(path: Path | None, assignments: Iterable[str] = (), preset: str | None = None) -> RunConfig:
    """Read a run's configuration from YAML, or from the record of an earlier run, and apply ``section.key=value``.

    What neither names is taken from the `preset`, one of PRESETS, then from the defaults. Relative paths in a file
    start from its folder, those of assignments from the working folder. Raises ConfigError for a file that cannot be
    read, an unknown key, or a value out of range.
    """
    data = {} if path is None else _read_file(Path(os.path.expanduser(path)))
    _set_missing(data, _preset(preset))
    for assignment in assignments:
        _set(data, *parse_assignment(assignment))
    return _parse(data)


def parse_assignment(assignment: str) -> tuple[str, Any]:
    """Return the name and the value of ``section.key=value``. Raises ConfigError."""
    name, equals, text = assignment.partition("=")
    if not equals:
        raise ConfigError(f"--set {assignment}", expected="SECTION.KEY=VALUE", do="write for example tiling.tile=512")
    try:
        return name, parse_yaml(text)
    except DocumentError as error:
        raise ConfigError(f"--set {assignment}", expected="a YAML value", got=text) from error


def override(config: RunConfig, settings: Mapping[str, Any], place: Place | None = None) -> RunConfig:
    """Return `config` with some ``section.key`` set to other values, and with its paths where `place` says, if given.

    Raises ConfigError like :func:`load_config`.
    """
    data = config.model_dump(exclude_unset=True)  # so that it stays known what was set
    for name, value in settings.items():
        _set(data, name, value)
    return _parse(data, place)


def with_preset(config: RunConfig, preset: str | None) -> RunConfig:
    """Return `config` with what it leaves unset taken from a preset, one of PRESETS. Raises ConfigError."""
    data = config.model_dump(exclude_unset=True)
    _set_missing(data, _preset(preset))
    return _parse(data)


def name_files(config: RunConfig, scene: Iterable[Any] | None, style: Any, output: Any) -> RunConfig:
    """Return `config` with its files named anew; what is None leaves the configuration's own."""
    named = {"scene.paths": scene, "style.images": style, "output.path": output}
    return override(config, {key: value for key, value in named.items() if value is not None})


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """Return `config` with its paths made absolute, so that it means the same from any folder."""
    return override(config, {}, place=absolute)


def decided_as(config: RunConfig, made: RunConfig) -> RunConfig:
    """Return `config` with what it leaves to the machine (``auto``) decided as in `made`."""
    decisions = {
        f"{name}.{key}": getattr(getattr(made, name), key)
        for name, section in config
        for key, field in type(section).model_fields.items()
        if getattr(section, key) == "auto" and any(isinstance(mark, DecidedByMachine) for mark in field.metadata)
    }
    return override(config, decisions)


def _parse(data: Mapping[str, Any], place: Place | None = None) -> RunConfig:
    try:
        return RunConfig.model_validate(data, context=place)
    except ValidationError as error:
        raise config_error(error) from error


def _read_file(path: Path) -> dict[str, Any]:
    """Return a file's settings, with its relative paths starting from its folder."""
    data = _read_mapping(path)
    for name, section in sections().items():
        if isinstance(data.get(name), dict):
            _place(data[name], section, partial(anchored, path.parent))
    return data


def _place(settings: dict[str, Any], section: type[Section], place: Place) -> None:
    """Put the paths among the settings of one section where `place` says.

    Each is validated by itself: what else is wrong with a file may be mended by an assignment, and is named at the end.
    """
    for key, field in section.model_fields.items():
        if key in settings and may_hold_paths(field):
            with suppress(ValidationError):
                settings[key] = getattr(section.model_validate({key: settings[key]}, context=place), key)


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
    *parents, key = name.split(".")
    if not parents or not all([*parents, key]):
        raise ConfigError(f"setting {name}", expected="SECTION.KEY", do="write for example tiling.tile")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(f"setting {name}", expected="a key of a section", got=f"{parent}, which has no keys")
    data[key] = value
