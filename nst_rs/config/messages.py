"""What is wrong with a configuration, in the user's words."""

import reprlib
from typing import Any

from pydantic import (
    ValidationError,
)
from pydantic_core import ErrorDetails

from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError
from nst_rs.vgg16 import VGG16


def config_error(error: ValidationError) -> ConfigError:
    """Return what pydantic found, as one line about one key."""
    errors = error.errors()
    place = errors[0]["loc"][:2]
    # Where a value may be of several types there is an error a type: the deepest knows most.
    first = max((e for e in errors if e["loc"][:2] == place), key=lambda e: len(e["loc"]))
    written = [part for part in first["loc"][2:] if isinstance(part, int) or part in VGG16]  # the rest names types
    key = ".".join(str(part) for part in [*place, *written])
    if first["type"] == "extra_forbidden":
        section = RunConfig.model_fields.get(str(first["loc"][0]))
        known = section.annotation if len(first["loc"]) > 1 and section else RunConfig
        names = ", ".join(getattr(known, "model_fields", {}))
        return ConfigError(f"unknown key {key}", expected=f"one of {names}")
    alike = [e for e in errors if e["loc"][:2] == place and len(e["loc"]) == len(first["loc"])]
    expected = " or ".join(dict.fromkeys(_expected(e) for e in alike))
    got = "nothing" if first["type"] == "missing" else _shown(first["input"])
    return ConfigError(key, expected=expected, got=got)


def _shown(value: Any) -> str:
    """Return a value as a message shows it, however large it is."""
    short = reprlib.Repr()
    short.maxlist = short.maxtuple = short.maxdict = 12
    short.maxstring = short.maxother = short.maxlong = 200
    return short.repr(value)


def _expected(error: ErrorDetails) -> str:
    """Say what a value should be, without the validator's own terms."""
    said = {
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
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return said.get(error["type"], message)
