"""What is wrong with a configuration, in the user's words."""

import reprlib
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nst_rs.config.regions import Region
from nst_rs.config.sections import RunConfig, sections
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
    if deepest[0]["type"] == "extra_forbidden":
        return _unknown_key(deepest[0])
    expected = " or ".join(dict.fromkeys(map(_expected, deepest)))
    got = "nothing" if deepest[0]["type"] == "missing" else _shown(deepest[0]["input"])
    return ConfigError(_key(deepest[0]), expected=expected, got=got)


def _unknown_key(error: ErrorDetails) -> ConfigError:
    """Return the error for a key that its section does not have, or for a section that there is not."""
    section, *keys = error["loc"]
    known = sections()[str(section)] if keys else RunConfig
    return ConfigError(f"unknown key {_key(error)}", expected=f"one of {', '.join(known.model_fields)}")


def _key(error: ErrorDetails) -> str:
    """Return the dotted name of what is wrong: section, key, and the place in a list, the layer, or a class's key."""
    section_and_key, rest = error["loc"][:2], error["loc"][2:]
    own = VGG16.keys() | Region.model_fields.keys()
    written = [part for part in rest if isinstance(part, int) or part in own]  # the others are pydantic's own names
    return ".".join(map(str, [*section_and_key, *written]))


def _expected(error: ErrorDetails) -> str:
    """Return what a value should be, without the validator's own terms."""
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return _EXPECTED.get(error["type"], message)


def _shown(value: Any) -> str:
    """Return a value as a message shows it, however large it is."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = 12
    short.maxstring = short.maxother = short.maxlong = 200
    return short.repr(value)
