"""Build the site, or make what is shown on it anew.

python -m website                   build/site, from docs/; a warning is an error
python -m website notebook          docs/notebooks, executed anew, with all its pictures
python -m website gallery [NAME...] the pictures of docs/gallery.md: all maps, or those of these names
"""

import subprocess
import sys
from pathlib import Path

from website import gallery, notebook, offline, staging

SITE = staging.ROOT / "build" / "site"


def main(arguments: list[str]) -> int:
    """Do what is asked for and return the exit code."""
    if arguments == ["notebook"]:
        for path in sorted((staging.DOCS / "notebooks").glob("*.ipynb")):
            notebook.execute(path, staging.ROOT)
        return 0
    if arguments[:1] == ["gallery"]:
        gallery.make(arguments[1:])
        return 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    return build()


def build() -> int:
    """Build the site and return the exit code: 1 where there was a warning, or where a page loads from the network."""
    staging.stage()
    command = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=staging.ROOT, check=False)
    if built.returncode:
        return built.returncode
    offline.take_own_shim(SITE)
    elsewhere = offline.loaded_from_elsewhere(SITE)
    for line in elsewhere:
        print(f"error: a page loads from the network: {line}", file=sys.stderr)
    return 1 if elsewhere else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
