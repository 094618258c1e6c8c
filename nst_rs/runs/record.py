"""The run record: the settings, the inputs, the versions and the results of a run. Plain data, ready for JSON."""

import json
import logging
import platform
import re
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nst_rs.composite.compose import Composite
from nst_rs.config.sections import RunConfig
from nst_rs.files.fingerprint import fingerprint
from nst_rs.objective.losses import Losses
from nst_rs.objective.terms.base import Value
from nst_rs.objective.terms.registry import describe
from nst_rs.output.provenance import settings_digest
from nst_rs.pyramid.tiling import Level
from nst_rs.scene.mosaic import Scene

log = logging.getLogger(__name__)

_PACKAGES = ("nst-rs", "tensorflow", "keras", "rasterio", "rio-cogeo", "numpy", "pillow")
_EDITIONS = {"tensorflow": "tensorflow-cpu"}
"""Package → what it is called by pip where it is installed in another edition."""


def versions() -> dict[str, str]:
    """Return the versions that the result may depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return version(_EDITIONS[package])


def of_run(config: RunConfig, device: str, inputs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the part of a record on the run: its settings, versions, `device` and `inputs` (fingerprints)."""
    return {
        "record": 1,
        "configuration": json.loads(config.model_dump_json()),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings_sha256": settings_digest(config),
        "versions": versions(),
        "device": device,
        "inputs": list(inputs),
    }


def of_scene(scene: Scene, composite: Composite) -> dict[str, Any]:
    """Return the part of a record on the scene that was read."""
    taken = scene.acquired
    return {
        "sensor": scene.sensor.name if scene.sensor else None,
        "acquired": taken and [taken.start.isoformat(), taken.end.isoformat()],
        "bands": [scene.labels[band - 1].name if isinstance(band, int) else band for band in composite.bands],
        "crs": scene.grid.crs.to_wkt(),
        "transform": list(scene.grid.transform)[:6],
        "shape": list(scene.grid.shape),
        "valid_share": composite.valid_share,
        "limits": [[limits.low, limits.high] for limits in composite.limits],
    }


def level_record(level: Level, iterations: int, history: Sequence[Losses]) -> dict[str, Any]:
    """Return a level's geometry, and its losses: one number per round for the total and for each of its terms.

    ``losses`` holds the terms' values, by layer where a term has layers, without their weights; ``terms`` describes the
    terms in the order in which they are added up, with what each adds to the total.
    """
    terms = list(history[0].terms) if history else []
    return {
        "factor": level.factor,
        "shape": list(level.shape),
        "tiles": len(level.tiles),
        "window": list(level.window_shape),
        "iterations": iterations,
        "losses": {
            "total": [losses.total for losses in history],
            **{name: _by_round([losses.terms[name].value for losses in history]) for name in terms},
        },
        "terms": [{**describe(name), "share": [losses.terms[name].share for losses in history]} for name in terms],
    }


def _by_round(values: Sequence[Value]) -> list[float] | dict[str, list[float]]:
    """Return a term's values of every round: a list, or one for each of its layers."""
    by_layer = [value for value in values if isinstance(value, Mapping)]
    if by_layer:
        return {layer: [value[layer] for value in by_layer] for layer in by_layer[0]}
    return [value for value in values if not isinstance(value, Mapping)]


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would also count the process that started this one, up to the moment it became this one.
        peak_line = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        if peak_line:
            return int(peak_line[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def warn_of_changes(config: Path, inputs: Iterable[str]) -> None:
    """Log a warning for every input that has changed since an earlier run, where `config` is that run's record."""
    if config.suffix != ".json":
        return
    try:
        known = {entry["sha256"] for entry in json.loads(config.read_text(encoding="utf-8"))["inputs"]}
    except (KeyError, TypeError):  # a configuration, but no record
        return
    for path in inputs:
        if fingerprint(path)["sha256"] not in known:
            log.warning("%s is not the file that the recorded run read: the result will differ", path)
