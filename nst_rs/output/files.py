"""The files of one run: their names, and whether they can be written."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nst_rs.config.sections import OutputSection
from nst_rs.errors import OutputError
from nst_rs.files.workspace import Workspace
from nst_rs.output.companions import COMPANIONS


@dataclass(frozen=True)
class Outputs:
    """The files of one run.

    >>> [path.name for path in Outputs(Path("map.tif"), OutputSection(tiles="pmtiles"))]
    ['map.png', 'map.run.json', 'map.pmtiles', 'map.html', 'map.stac.json', 'map.tif']
    """

    tif: Path
    section: OutputSection = field(default_factory=OutputSection)
    """The configuration's section, which says what files go with the map."""

    @classmethod
    def of(cls, output: OutputSection) -> "Outputs":
        """Return the files that a configuration asks for. Raises OutputError where it names no map."""
        if output.path is None:
            raise OutputError("output.path", expected="the map to write", got="none", do="name it with --output")
        return cls(output.path, output)

    @property
    def preview(self) -> Path:
        """The preview, for people."""
        return self.tif.with_suffix(".png")

    @property
    def record(self) -> Path:
        """The run record, for machines."""
        return self.tif.with_suffix(".run.json")

    @property
    def item(self) -> Path:
        """The STAC item, for catalogues."""
        return self.companions["item"]

    @property
    def report(self) -> Path:
        """The page that shows what the run made, and how."""
        return self.companions["report"]

    @property
    def companions(self) -> dict[str, Path]:
        """Name → path of the companions that the configuration asks for."""
        endings = {companion.name: companion.ending(self.section) for companion in COMPANIONS}
        return {name: self.tif.with_suffix(ending) for name, ending in endings.items() if ending is not None}

    @classmethod
    def all_beside(cls, tif: Path) -> tuple[Path, ...]:
        """Return the files that any configuration may have made of a map, in the order of :meth:`__iter__`.

        >>> [path.name for path in Outputs.all_beside(Path("map.tif"))][:4]
        ['map.png', 'map.run.json', 'map.bands.tif', 'map.pmtiles']
        """
        plain = cls(tif)
        endings = (ending for companion in COMPANIONS for ending in companion.endings)
        return (plain.preview, plain.record, *map(tif.with_suffix, endings), tif)

    def __iter__(self) -> Iterator[Path]:
        """Return the files in the order in which they are moved into place: the map, which readers wait for, last."""
        return iter((self.preview, self.record, *self.companions.values(), self.tif))


def check_output(outputs: Outputs, inputs: list[Path], scene_folders: Sequence[Path] = ()) -> None:
    """Refuse an output before anything is computed.

    It must be writable, must not overwrite an input, and must not lie in a folder that is read as the scene: the next
    run would take the map for a tile.
    """
    tif = outputs.tif
    if tif.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"output {tif}", expected="a name ending in .tif", got=tif.suffix or "no ending")
    _check_names(outputs)
    if not tif.parent.is_dir():
        raise OutputError(f"output folder {tif.parent}", expected="an existing folder", got="none", do="create it")
    if not os.access(tif.parent, os.W_OK):
        raise OutputError(f"output folder {tif.parent}", expected="leave to write", got="none")
    if tif.parent.resolve() in {folder.resolve() for folder in scene_folders}:
        raise OutputError(f"output {tif}", expected="a place outside the scene's folder", got=str(tif.parent))
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.is_dir():
            raise OutputError(f"output {path}", expected="a file's name", got="a folder")
        if path.resolve() in taken:
            raise OutputError(f"output {path}", expected="a new file", got="an input of this run")


def _check_names(outputs: Outputs) -> None:
    """Refuse names that no file can have here: too long, with a NUL in them, going round in a circle of links."""
    for path in (*outputs, Workspace(outputs.tif).folder):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # another check names what is wrong there
        except (OSError, ValueError) as error:
            expected = "a name that a file can have"
            raise OutputError(f"output {str(path)!r:.300}", expected=expected, got=str(error)[:80]) from error
