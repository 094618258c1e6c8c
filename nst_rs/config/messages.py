"""What is wrong with a configuration, in the user's words."""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nst_rs.config.base import Section
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.vgg16 import VGG16

_EXPECTED = {
    "missing": "a value",
    "tuple_type": "a list",
    "too_short": "at least one of a list",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "string_type": "a name",
    "path_type": "a path",
    "model_type": "keys of their own",
    "model_attributes_type": "keys of their own",
}
"""Pydantic's types of error → what was expected instead; of other types the message says it."""


def config_error(error: ValidationError) -> ConfigError:
    """Return what pydantic found, as one line about one setting."""
    first, *others = error.errors()
    setting = first["loc"][:2]
    # A value that may be of several types has an error for each of them. The deepest ones fit the value best.
    of_setting = [each for each in (first, *others) if each["loc"][:2] == setting]
    depth = max(len(each["loc"]) for each in of_setting)
    deepest = [each for each in of_setting if len(each["loc"]) == depth]
    unknown = next((each for each in deepest if each["type"] == "extra_forbidden"), None)
    if unknown is not None:  # it tells more than the key that is missing in its place
        *place, key = unknown["loc"]
        name, known = _walked(place)
        return ConfigError(f"unknown key {'.'.join([*name, str(key)])}", expected=f"one of {', '.join(known)}")
    expected = " or ".join(dict.fromkeys(map(_expected, deepest)))
    got = "nothing" if deepest[0]["type"] == "missing" else _shown(deepest[0]["input"])
    return ConfigError(".".join(_walked(deepest[0]["loc"])[0]), expected=expected, got=got)


def _walked(place: Sequence[int | str]) -> tuple[list[str], list[str]]:
    """Return the name of a place in the configuration, part by part, as people write it, and the keys that are there.

    The name has section, key, the place in a list, the layer, and a key of a class of ground, of a page or the like.
    The other parts of `place` are pydantic's own. One that names a form, as ``OfRaster`` does, says which keys there
    are.
    """
    here: list[type[Section]] = [RunConfig]
    name: list[str] = []
    for depth, part in enumerate(place):
        fields = {key: field for section in here for key, field in section.model_fields.items()}
        if depth < 2 or isinstance(part, int) or part in VGG16 or part in fields:
            name.append(str(part))
        if part in fields:
            here = list(_sections_in(fields[str(part)].annotation))
        else:
            here = [section for section in here if section.__name__ == part] or here
    return name, [key for section in here for key in section.model_fields]


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    """Yield the sections among a type and its parts."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)


def _expected(error: ErrorDetails) -> str:
    """Return what a value should be, without the validator's own terms."""
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return _EXPECTED.get(error["type"], message)


def _shown(value: Any) -> str:
    """Return a value as a message shows it, however large it is; of a list of classes their names."""
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(each, Mapping) and "name" in each for each in value)
    ):
        return ", ".join(str(each["name"]) for each in value)
    short = _Short()
    short.maxlist = short.maxtuple = short.maxdict = 12
    short.maxstring = short.maxother = short.maxlong = 200
    return short.repr(value)


class _Short(reprlib.Repr):
    """Shows paths as they are written in a configuration."""

    def repr1(self, x: Any, level: int) -> str:
        """Return one value, or a part of one."""
        return super().repr1(str(x) if isinstance(x, Path) else x, level)
