"""A finished run, known from the record beside its map: its configuration, its scene, and that scene composed anew."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nst_rs.composite.recompose import check_unchanged, compose_anew
from nst_rs.config.loading import Decisions, override
from nst_rs.config.messages import config_error
from nst_rs.config.sections import RunConfig
from nst_rs.errors import OutputError
from nst_rs.files.documents import reason
from nst_rs.files.storage import PixelArray, Storage
from nst_rs.geo.grid import Grid
from nst_rs.output.files import Outputs


@dataclass(frozen=True)
class FinishedRun:
    """What the record of a map says of the run that made it."""

    config: RunConfig
    record: Mapping[str, Any]

    @classmethod
    def of(cls, tif: Path) -> "FinishedRun":
        """Read the record beside a map. Raises OutputError where it is not there, or none."""
        path = Outputs(tif).record
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            run = cls(RunConfig.model_validate(record["configuration"]), record)
            _ = run.scene_files
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(f"record {path}", expected="the map's run record", got=_why_none(error)) from error
        return run

    @property
    def scene_files(self) -> list[Mapping[str, Any]]:
        """The fingerprints of the scene's files, as the run read them."""
        inputs = self.record["inputs"]
        besides = set(map(str, (*self.config.earlier, self.config.style.statistics)))
        of_run = inputs[: len(inputs) - len(self.config.style.files)]
        return [entry for entry in of_run if entry["path"] not in besides]

    def compose(self, storage: Storage, changed: Decisions) -> tuple[PixelArray, PixelArray, Grid]:
        """Return the run's composite, (H, W, 3), its weight, (H, W), and its grid, with some settings `changed`.

        The arrays are in `storage`. Raises NstError where the scene is not to be had as it was.
        """
        check_unchanged(self.scene_files)
        return compose_anew(override(self.config, changed), storage)


def _why_none(error: Exception) -> str:
    """Return why a file is no record of a run, for people."""
    if isinstance(error, ValidationError):
        return f"a configuration that is none ({config_error(error)})"
    if isinstance(error, OSError | JSONDecodeError | KeyError):
        return reason(error)
    return "JSON of another kind"
