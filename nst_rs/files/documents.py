"""Small texts from elsewhere: configurations, metadata, GeoJSON, STAC. Read up to a limit, YAML without its dangers."""

import json
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import Node

MOST_BYTES = 16 * 2**20
"""No metadata is larger; a run's record, which holds the loss of every iteration, is not either."""
_MOST_YAML_BYTES = 2**20


class DocumentError(ValueError):
    """A text cannot be read or understood; the message says why, in one line."""


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Return a UTF-8 file's text. Raises DocumentError where it cannot be read, or is larger than `most_bytes`."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise DocumentError(error.strerror or str(error)) from error
    except ValueError as error:  # a name with a NUL in it
        raise DocumentError(str(error)) from error
    return decode(content, most_bytes)


def decode(content: bytes, most_bytes: int = MOST_BYTES) -> str:
    """Return UTF-8 as text. Raises DocumentError."""
    if len(content) > most_bytes:
        raise DocumentError(f"more than {most_bytes // 2**20} MB of text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError("bytes that are no UTF-8 text") from error


def parse_json(text: str) -> Any:
    """Return the value that JSON text holds. Raises DocumentError.

    >>> parse_json('{"bbox": [1, 2]}')
    {'bbox': [1, 2]}
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(str(error)) from error


def reason(error: Exception) -> str:
    """Return in a few words why a document could not be read, or does not hold what it should.

    >>> reason(KeyError("statistics"))
    "no key 'statistics'"
    >>> reason(FileNotFoundError(2, "No such file or directory"))
    'no such file or directory'
    """
    if isinstance(error, KeyError):
        return f"no key {error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{error!s:.200}"


def parse_yaml(text: str) -> Any:
    """Return the value that YAML text holds. Raises DocumentError, also for tags of a program's own, and for aliases.

    Ten lines of aliases can stand for a billion values.

    >>> parse_yaml("scene: {nodata: 0}")
    {'scene': {'nodata': 0}}
    """
    if len(text) > _MOST_YAML_BYTES:
        raise DocumentError("more than 1 MB of YAML")
    try:
        return yaml.load(text, _Plain)  # noqa: S506 - _Plain is a SafeLoader
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: a date that the calendar has not
        raise DocumentError(str(error)) from error


class _Plain(yaml.SafeLoader):
    """YAML without aliases."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias, which is not read here")
        return super().compose_node(parent, index)
