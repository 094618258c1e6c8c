"""What a flow says where Prefect could not start a server of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARGUMENTS = {
    "stylize_scene": ["scene.tif", "--style", "a.jpg", "--output", "map.tif"],
    "learn_style": ["scene.tif", "--style", "a.jpg", "--output", "a.style"],
    "stylize_inbox": ["inbox", "maps", "--style", "a.jpg"],
}


@pytest.mark.parametrize("flow", ARGUMENTS)
def test_a_flow_that_could_not_keep_its_servers_database_says_so_in_one_line_at_once(flow: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "prefect"  # below a file no folder can be made, not even by an administrator
    elsewhere = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    ended = subprocess.run(
        [sys.executable, "-m", f"nst_rs_flows.{flow}", *ARGUMENTS[flow]],
        cwd=ROOT,
        env={**elsewhere, "PREFECT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"error: Prefect's home {home}: expected a folder with leave to write, got none; "
        "set PREFECT_HOME to another folder, or PREFECT_API_URL to a server's address\n"
    )
