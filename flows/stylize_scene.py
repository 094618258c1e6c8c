"""The flow of nst_rs_flows/stylize_scene.py under its earlier name."""

import sys

from nst_rs_flows.stylize_scene import main, stylize_scene

__all__ = ["main", "stylize_scene"]

if __name__ == "__main__":
    sys.exit(main())
