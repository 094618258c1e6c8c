"""What the flows' command lines have in common."""

import argparse
import signal
import sys
from collections.abc import Callable
from typing import Any

from nst_rs.config.loading import PRESETS, parse_assignment
from nst_rs.errors import NstError
from nst_rs_flows.home import check_home
from nst_rs_flows.server import check_answers, request_to_stop


def exit_code_of(command: Callable[[], int]) -> int:
    """Return the exit code of a flow's command line. A mistake, and a request to stop, are told in one line.

    A request to stop may come back as an error of Prefect's client, where the server that Prefect had started for the
    run was ended by the same signal.
    """
    try:
        return command()
    except NstError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BaseException as error:
        request = request_to_stop(error)
        if request is None:
            raise
        print("stopped: the same command goes on from here", file=sys.stderr)
        return 128 + int(getattr(request, "signal", signal.SIGINT))


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
