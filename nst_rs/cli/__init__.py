"""The command line: ``nst_rs.cli:app``."""

from nst_rs.cli.commands import app

__all__ = ["app"]
