"""How many heaps a process has, in processes of their own: the setting lasts as long as a process."""

import os
import subprocess
import sys
from pathlib import Path

THREADS = """
import ctypes, sys, threading
from nst_rs.neural.heap import keep_few_heaps
{}
met = threading.Barrier(9)
def allocate():
    kept = bytearray(1000)
    met.wait()
for _ in range(8):
    threading.Thread(target=allocate).start()
met.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps_after(first: str, told: Path) -> int:
    """Of a process with eight threads that each have allocated something."""
    # Dask, where it has started workers, leaves settings of its own behind.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    subprocess.run([sys.executable, "-c", THREADS.format(first), told], check=True, env=environment)
    return told.read_text().count("<heap nr=")


def test_threads_share_two_heaps(tmp_path: Path) -> None:
    assert heaps_after("keep_few_heaps()", tmp_path / "few") <= 2
    assert heaps_after("", tmp_path / "many") > 2
