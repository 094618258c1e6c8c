"""A file that is whole or not there: written under a temporary name, then moved into place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_rs.files.failures import unwritable


@contextmanager
def written_at_once(path: Path, what: str = "") -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; move it to `path` at the end, or remove it after an error.

    Raises OutputError in place of an OSError; `what` could not be written then, or the output of that path.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(what or f"output {path}", error) from error
    finally:
        temporary.unlink(missing_ok=True)
