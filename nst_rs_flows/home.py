"""Prefect's home: the folder in which a server that a flow starts for itself keeps its database.

Where it cannot write there Prefect would start such a server again and again for minutes.
"""

import os
from pathlib import Path

from nst_rs.errors import OutputError


def check_home() -> None:
    """Raise OutputError where a flow would start a server that cannot keep its database."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    database = settings.server.database.connection_url
    if settings.api.url or not database or str(settings.home) not in database.get_secret_value():
        return
    if not _is_writable(settings.home):
        raise OutputError(
            f"Prefect's home {settings.home}",
            expected="a folder with leave to write",
            got="none",
            do="set PREFECT_HOME to another folder, or PREFECT_API_URL to a server's address",
        )


def _is_writable(folder: Path) -> bool:
    """Whether files can be written to a folder, which is made where it can be."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
