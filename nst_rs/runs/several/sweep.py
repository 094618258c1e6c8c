"""Several configurations as one job: a grid over any keys, resumed where it stopped, compared at the end."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nst_rs.config.loading import decided_as, load_config, override, with_absolute_paths
from nst_rs.config.sections import ELSEWHERE, RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.files import lock
from nst_rs.files.extras import check_installed
from nst_rs.files.fingerprint import fingerprint
from nst_rs.files.text import counted
from nst_rs.files.workspace import Workspace
from nst_rs.output.files import Outputs
from nst_rs.runs.job import Job
from nst_rs.runs.prepare import prepare, settled_by_scene
from nst_rs.runs.several.comparison import Run, write_comparison


@dataclass(frozen=True)
class Variant:
    """One run of a sweep."""

    name: str
    config: RunConfig

    @property
    def run(self) -> Run:
        """The run, whose files may not be there yet."""
        return Run(self.name, Outputs.of(self.config.output))


@dataclass(frozen=True, repr=False)
class Comparison:
    """The runs of a sweep, and the files that compare them."""

    runs: tuple[Run, ...]
    sheet: Path
    losses: Path
    table: Path

    def __repr__(self) -> str:
        """Return what was compared, and where to look, in one line."""
        return f"Comparison({counted(len(self.runs), 'run')}: {self.sheet}, {self.losses}, {self.table})"


def variants(files: Iterable[Path], folder: Path, vary: Sequence[str], assignments: Sequence[str]) -> list[Variant]:
    """Return the runs: every configuration file with every combination of the values of `vary`.

    `vary` holds ``section.key=value,value,...``, `assignments` ``section.key=value`` for all runs. A run is named after
    its file and its values, and writes into `folder`. Raises ConfigError, also for two runs of one name.
    """
    return combinations(files, folder, [list(_choices(text)) for text in vary], assignments)


def combinations(
    files: Iterable[Path], folder: Path, choices: Iterable[Sequence[tuple[str, str]]], assignments: Sequence[str]
) -> list[Variant]:
    """Return runs as :func:`variants` does; `choices` holds for each key that varies the key with each of its values.

    Values are written as in a configuration file.
    """
    choices, chosen = list(choices), []
    for file in files:
        for combination in itertools.product(*choices):
            config = load_config(file, [*assignments, *(f"{key}={value}" for key, value in combination)])
            name = "_".join([file.stem, *(f"{key.split('.')[-1]}={_in_a_name(value)}" for key, value in combination)])
            config = override(config, {"output.path": folder / f"{name}.tif"})
            chosen.append(Variant(name, with_absolute_paths(config)))
    names = [variant.name for variant in chosen]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError("sweep", expected="runs of different names", got=f"{name} twice")
    return chosen


def alone(folder: Path) -> AbstractContextManager[None]:
    """Make `folder`, and hold it against other sweeps; raises LockedError where one is at it, OutputError."""
    _make(folder)
    return lock.alone(folder / ".sweep.lock", f"sweep in {folder}")


def waiting(chosen: Sequence[Variant], folder: Path) -> list[tuple[Variant, Job]]:
    """Return the runs that are not done, each checked and ready for :func:`nst_rs.runs.session.run`; make `folder`.

    All are checked before the first is computed. Raises NstError.
    """
    check_installed("matplotlib", "a sweep's comparison")
    _make(folder)
    return [(variant, prepare(variant.config)) for variant in chosen if not is_done(variant)]


def compare(chosen: Sequence[Variant], folder: Path) -> Comparison:
    """Compare runs that are all done, in files in `folder`."""
    runs = tuple(variant.run for variant in chosen)
    return Comparison(runs, *write_comparison(runs, folder))


def is_done(variant: Variant) -> bool:
    """Whether `variant` has run to its end: all files are there, for this configuration and for these inputs.

    The earlier run may have decided in any way what the configuration leaves open. The machine and its memory make no
    difference.
    """
    run = variant.run
    # A workspace is left by a run that was killed, perhaps between one file and the next.
    if not all(path.is_file() for path in run.outputs) or Workspace(run.outputs.tif).folder.exists():
        return False
    try:
        made, inputs = run.config, list(run.record["inputs"])
    except (ValueError, KeyError, TypeError):  # a damaged record, or another version's
        return False
    same = _what_is_made(_settled_like(variant.config, made)) == _what_is_made(made)
    return same and all(map(_unchanged, inputs))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"output folder {folder}", expected="a folder to write to", got=str(error)) from error


def _settled_like(config: RunConfig, made: RunConfig) -> RunConfig:
    """Return `config` with what it leaves open decided as in `made`, or by the scene."""
    return decided_as(settled_by_scene(config), made)


def _what_is_made(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"compute": set(ELSEWHERE)})


def _unchanged(entry: dict[str, object]) -> bool:
    """Whether an input is unchanged. One that lies on another machine has no fingerprint, and is taken to be."""
    try:
        return bool(fingerprint(str(entry["path"]))["sha256"] == entry["sha256"])
    except OSError:
        return False


def _choices(text: str) -> Iterator[tuple[str, str]]:
    key, equals, values = text.partition("=")
    # A comma inside brackets belongs to a value that is a list or a mapping.
    choices = [value.strip() for value in re.split(r",(?![^\[]*\]|[^{]*\})", values)]
    if not equals or not all(choices):
        raise ConfigError(
            f"--vary {text}", expected="SECTION.KEY=VALUE,VALUE,...", do="write for example objective.alpha=0.1,0.2"
        )
    return ((key, value) for value in choices)


def _in_a_name(value: str) -> str:
    stems = re.sub(r"[^,:\[\]{}]*/[^,:\[\]{}]*", lambda path: Path(path[0]).stem, value)
    return re.sub(r"[^\w.+-]+", "-", stems).strip("-")
