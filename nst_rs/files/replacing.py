"""A file that is whole or not there: written under a temporary name, then moved into place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_rs.files.failures import unwritable


@contextmanager
def written_at_once(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; move it to `path` at the end, or remove it after an error.

    Raises OutputError in place of an OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(f"output {path}", error) from error
    finally:
        temporary.unlink(missing_ok=True)
