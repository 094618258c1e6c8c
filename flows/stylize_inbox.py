"""The flow of nst_rs_flows/stylize_inbox.py under its earlier name."""

import sys

from nst_rs_flows.stylize_inbox import main, stylize_inbox

__all__ = ["main", "stylize_inbox"]

if __name__ == "__main__":
    sys.exit(main())
