"""Types for settings that are paths: give a setting one of these types, and its relative paths start where they should.

The validation's context says where that is. It is a function from a path to a path, for example
:func:`nst_rs.files.locations.absolute`. Without a context a relative path stays as it is. A ``~`` at the start of a
path is the user's home, whatever the context.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.fields import FieldInfo

from nst_rs.config.base import InWords, Weight
from nst_rs.config.named_styles import find_style

Place = Callable[[str], str]
"""Returns a path as it is to be understood: as an absolute one, or as starting from another folder."""


class PathInWords(InWords):
    """Marks a type whose values are paths."""


def _placed(value: Any, info: ValidationInfo) -> Any:
    """Return a path as the context places it. What is no path stays as it is: the field's own check names it."""
    if not isinstance(value, str | Path):
        return value
    path = os.path.expanduser(str(value))
    place: Place | None = info.context
    return path if place is None else place(path)


LocalPath = Annotated[Path, BeforeValidator(_placed), PathInWords("a path")]
"""A file or folder of this machine."""


def _found_by_name(value: Any, info: ValidationInfo) -> Any:
    """Return a style's path: as the context places it or, where no file is there, that of the style of this name."""
    placed = _placed(value, info)
    if not isinstance(value, str | Path) or os.path.isfile(placed):
        return placed
    style = find_style(str(value))
    return placed if style is None else str(style.path)


StylePath = Annotated[Path, BeforeValidator(_found_by_name), PathInWords("a path, or a learned style's name")]
"""A file of this machine, or a learned style that is called by its name."""

Location = Annotated[str, BeforeValidator(_placed), PathInWords("a path or a location such as s3://bucket/name")]
"""A file or folder of this machine, or what GDAL reads from elsewhere, which no folder changes."""


def _each_weighted(value: Any, check: ValidatorFunctionWrapHandler) -> dict[Path, float]:
    """Return paths with weights. The weights of a path that is named twice, perhaps in two ways, add up."""
    weights: dict[Path, float] = {}
    for path, weight in _weighted(value):
        for placed, checked in check({path: weight}).items():
            weights[placed] = weights.get(placed, 0) + checked
    return weights


def _weighted(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    paths = [value] if isinstance(value, str | Path) else value
    if isinstance(paths, list | tuple) and all(isinstance(path, str | Path) for path in paths):
        return [(path, 1) for path in paths]
    raise ValueError("a path, a list of paths, or paths with weights")


WeightedStyles = Annotated[
    dict[StylePath, Weight],
    WrapValidator(_each_weighted),
    PathInWords("a path, a learned style's name, a list of paths, or paths with weights"),
]
"""Files of this machine, or learned styles by their names, with a weight each. May be written as one path, or as a
list, where each weighs 1."""


def may_hold_paths(setting: FieldInfo) -> bool:
    """Whether a section's field has one of this module's types, alone or as a part of its type."""
    return any(map(_is_marked, (setting.annotation, *setting.metadata)))


def _is_marked(annotation: Any) -> bool:
    return isinstance(annotation, PathInWords) or any(map(_is_marked, get_args(annotation)))
