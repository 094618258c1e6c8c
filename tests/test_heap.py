"""What the heap keeps of blocks that are free, in processes of their own: the setting lasts as long as a process."""

import os
import subprocess
import sys

PIECES = """
import numpy as np, psutil
from nst_rs.heap import give_back_large_blocks
{}
np.ones(24 << 20, np.uint8)  # freed at once: from now on the heap keeps blocks as large as this
pieces = [(np.ones(8 << 20, np.uint8), bytearray(64 << 10)) for _ in range(30)]
kept = [small for _, small in pieces]
del pieces
print(psutil.Process().memory_info().rss >> 20)
"""


def mebibytes_after(first: str) -> int:
    """Resident, of a process that has freed 240 MiB in blocks of 8 between blocks that it keeps."""
    command = [sys.executable, "-c", PIECES.format(first)]
    # Dask, where it has started workers, leaves settings of its own behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def test_large_blocks_between_small_ones_go_back_to_the_system() -> None:
    assert mebibytes_after("give_back_large_blocks()") < mebibytes_after("") - 150
