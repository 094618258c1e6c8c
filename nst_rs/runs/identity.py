"""What must be the same for a run to go on where another was killed: settings, inputs, pixels, versions."""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.config.sections import ELSEWHERE, NAMED_WEIGHTS, RunConfig
from nst_rs.files.fingerprint import fingerprint
from nst_rs.files.storage import PixelArray, strips
from nst_rs.runs.compose import ComposedScene
from nst_rs.runs.job import Job
from nst_rs.runs.record import versions

log = logging.getLogger(__name__)


def identity(job: Job, scene: ComposedScene, *further: PixelArray) -> dict[str, Any]:
    """Return what the picture of `job` depends on, `further` arrays of its ground among it.

    Files' digests do not tell all: a mask, metadata or georeference may lie beside a raster, a VRT has its pixels
    elsewhere, and what lies on the network has no digest. So the pixels that came of them are digested too.
    Pictures on the way may be asked for, or not, at any time.
    """
    config = job.config
    settings = json.loads(config.model_dump_json(exclude={"compute": set(ELSEWHERE), "output": {"every"}}))
    styles = [array for style in job.inputs.styles for array in (style.image, style.weight)]
    return {
        "configuration": settings,
        "inputs": [entry["sha256"] for entry in scene.fingerprints],
        "weights": _weights(config),
        "scene": _digest((scene.image, scene.weight, *further)),
        "style": _digest(styles),
        "versions": versions(),
    }


def differences(earlier: Any, now: Mapping[str, Any]) -> list[str]:
    """Return in words what another run's identity has that differs from `now`; nothing where it says too little.

    >>> differences({"configuration": {"style": {"size": 1}}, "inputs": ["a"]},
    ...             {"configuration": {"style": {"size": 2}}, "inputs": ["b"]})
    ['style.size', 'the input files']
    """
    if not isinstance(earlier, Mapping):
        return []
    named = {
        "inputs": "the input files",
        "weights": "the file of model.weights",
        "scene": "the scene's pixels",
        "style": "the style's pixels",
        "versions": "the version of the program or of a library",
        "agreement": "the maps to agree with",
    }
    changed = [said for key, said in named.items() if earlier.get(key) != now.get(key)]
    return [*_settings(earlier.get("configuration"), now["configuration"]), *changed]


def may_go_on(earlier: Any, now: Mapping[str, Any], job: Job) -> bool:
    """Return whether `job`, which is `now`, may go on from what `earlier` has left.

    Where it may not, the workspace's checkpoint is removed, before this run writes over the arrays that it speaks of:
    if this run were killed too, the earlier one would take them for its own. A warning says what is lost and why.
    """
    if earlier == now:
        return True
    job.workspace.checkpoint.unlink(missing_ok=True)
    changed = ", ".join(differences(earlier, now)) or "what it was made of"
    log.warning(
        "output %s: what an earlier run has left is not gone on with: it differs in %s", job.outputs.tif, changed
    )
    return False


def _settings(earlier: Any, now: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ, as the command line has them."""
    if not isinstance(earlier, Mapping):
        return []
    pairs = [
        (f"{section}.{key}", (earlier.get(section) or {}).get(key), value)
        for section, values in now.items()
        for key, value in values.items()
    ]
    return [name for name, before, value in pairs if before != value]


def _weights(config: RunConfig) -> str | None:
    """Return the digest of a weights file of the user's own."""
    if config.model.weights in NAMED_WEIGHTS or not Path(config.model.weights).is_file():
        return None
    sha256: str | None = fingerprint(config.model.weights)["sha256"]
    return sha256


def _digest(arrays: Iterable[PixelArray]) -> str:
    """Return a digest of the pixels of arrays, which are read strip by strip."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, str(array.dtype))).encode())
        for rows in strips(array.shape[0]):
            digest.update(np.asarray(array[rows]).tobytes())
    return digest.hexdigest()
