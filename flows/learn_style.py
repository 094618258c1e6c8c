"""The flow of nst_rs_flows/learn_style.py under its earlier name."""

import sys

from nst_rs_flows.learn_style import learn_style, main

__all__ = ["learn_style", "main"]

if __name__ == "__main__":
    sys.exit(main())
