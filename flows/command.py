"""What the flows' command lines have in common."""

import argparse
from typing import Any

from flows.home import check_home
from flows.server import check_answers
from nst_rs.config.loading import PRESETS, parse_assignment


class RunArguments(argparse.ArgumentParser):
    """Reads a flow's parameters from a command line: a configuration, a preset and settings beside the flow's own."""

    def read(self, arguments: list[str] | None) -> dict[str, Any]:
        """Return the flow's parameters.

        Raises ConfigError, OutputError where Prefect's home cannot be written to, and ResourceError where its server is
        away.
        """
        self.add_argument("--config", help="a configuration (YAML), or an earlier run's record (JSON)")
        self.add_argument("--preset", choices=PRESETS, help="what the configuration does not decide")
        self.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="a setting")
        given = vars(self.parse_args(arguments))
        settings = dict(parse_assignment(assignment) for assignment in given.pop("set"))
        check_home()
        check_answers()
        return {**given, "settings": settings}
