"""Every setting with its default, its values and its meaning, read from the JSON schemas of the sections."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nst_rs.config.base import IN_WORDS, Section
from nst_rs.config.sections import sections
from nst_rs.errors import ConfigError

Schema = Mapping[str, Any]
"""A JSON schema of a value, https://json-schema.org."""

_KINDS = {"integer": "a whole number", "number": "a number", "string": "text"}
_LIMITS = {
    "minimum": "of {:g} or more",
    "exclusiveMinimum": "above {:g}",
    "maximum": "{:g} at most",
    "exclusiveMaximum": "below {:g}",
}


@dataclass(frozen=True)
class Setting:
    """One setting of a configuration, in words."""

    name: str
    """Its section and key, such as ``tiling.tile``."""
    default: str
    """The value that it has where a configuration does not set it; ``not set`` where it then has no value."""
    values: str
    """What values it takes."""
    meaning: str


def describe(section: str | None = None) -> list[Setting]:
    """Return the settings of one section, or of all sections. Raises ConfigError for an unknown section.

    >>> describe("schedule")[0].name, describe("schedule")[0].values
    ('schedule.levels', 'a whole number from 1 to 12')
    """
    known = sections()
    if section is not None and section not in known:
        raise ConfigError(f"unknown section {section}", expected=f"one of {', '.join(known)}")
    chosen = known if section is None else {section: known[section]}
    return [setting for name, model in chosen.items() for setting in _settings(name, model)]


def _settings(name: str, model: type[Section]) -> Iterator[Setting]:
    for key, schema in model.model_json_schema()["properties"].items():
        meaning = " ".join(schema.get("description", "").split()).replace("``", "`")
        yield Setting(f"{name}.{key}", _written(schema["default"]), _values(schema), meaning)


def _written(default: Any) -> str:
    """Return a default as a configuration writes it."""
    if default in (None, "", [], {}):
        return "not set"  # not "none", which some settings take for a value
    if isinstance(default, Mapping):
        return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in default.items()) + "}"
    if isinstance(default, Sequence) and not isinstance(default, str):
        return "[" + ", ".join(map(_written, default)) + "]"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _values(schema: Schema) -> str:
    """Return in words what values a schema allows. That nothing is set is not said: the default then is ``not set``."""
    *others, last = _alternatives(schema)
    are_words = not any(" " in each for each in (*others, last))
    return f"{', '.join(others)}{' or ' if are_words else ', or '}{last}" if others else last


def _alternatives(schema: Schema) -> Iterable[str]:
    if IN_WORDS in schema:
        return [schema[IN_WORDS]]
    if "anyOf" in schema:
        return [words for each in schema["anyOf"] for words in _alternatives(each)]
    if "const" in schema or "enum" in schema:
        return map(str, schema.get("enum", [schema.get("const")]))
    if schema["type"] == "null":
        return []
    return [_kind(schema)]


def _kind(schema: Schema) -> str:
    """Return in words what a schema of one type allows. A type without a word here is marked with InWords."""
    return _list(schema) if schema["type"] == "array" else _KINDS[schema["type"]] + _limits(schema)


def _list(schema: Schema) -> str:
    parts = schema.get("prefixItems", [schema.get("items")])
    size = f" of {len(parts)}" if "prefixItems" in schema else ""
    (each,) = {_values(part) for part in parts}  # parts that differ are marked with InWords
    return f"a list{size}, each {each}"


def _limits(schema: Schema) -> str:
    """Return a number's limits in words.

    >>> _limits({"minimum": 64, "maximum": 1024, "multipleOf": 16}), _limits({"exclusiveMinimum": 0, "maximum": 1})
    (' from 64 to 1024, a multiple of 16', ' above 0, 1 at most')
    """
    if "minimum" in schema and "maximum" in schema:
        limits = [f"from {schema['minimum']:g} to {schema['maximum']:g}"]
    else:
        limits = [words.format(schema[key]) for key, words in _LIMITS.items() if key in schema]
    if "multipleOf" in schema:
        limits.append(f"a multiple of {schema['multipleOf']:g}")
    return f" {', '.join(limits)}" if limits else ""
