"""The origin of a map, as its file, its STAC item and its record tell it: program, settings and inputs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nst_rs.config.sections import ELSEWHERE, NAMED_WEIGHTS, RunConfig


def software() -> str:
    """Return the program's name and version."""
    return f"nst-rs {version('nst-rs')}"


def settings_digest(config: RunConfig) -> str:
    """Return the SHA-256 of all settings that the map's bytes depend on.

    It covers neither the places of files nor the machines that compute: the same settings have the same digest
    everywhere. The contents of the files have digests of their own.
    """
    without: dict[str, Any] = {
        "scene": {"paths"},
        "output": {"path", "every"},
        "compute": {*ELSEWHERE, "device"},
        "learn": True,
    }
    settings = config.model_dump(mode="json", exclude=without)
    settings["style"]["images"] = list(config.style.shares.values())
    settings["style"]["regions"] = [region.without_places(lambda _: "") for region in config.style.regions]
    if not config.style.regions:  # as before there were any
        del settings["style"]["regions"]
    if config.model.weights not in NAMED_WEIGHTS:
        settings["model"]["weights"] = Path(config.model.weights).name
    settings["style"]["agree"] = [path.name for path in config.style.agree]
    if isinstance(config.schedule.init, Path):
        settings["schedule"]["init"] = config.schedule.init.name
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def paintings_of(record: Mapping[str, Any]) -> list[str]:
    """Return the paths of the style's images, each once, as a run's record tells them; none of an empty record."""
    style = record.get("configuration", {}).get("style", {})
    by_class = [region["images"] for region in style.get("regions", [])]
    return list(dict.fromkeys(path for images in (style.get("images", {}), *by_class) for path in images))


def tags(config: RunConfig, inputs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return a GeoTIFF's tags, which GDAL lists among its metadata; `inputs` are fingerprints as the record has them.

    Nothing in them changes from one run of the same to the next, so that maps can be compared byte for byte.
    """
    styles = ", ".join(dict.fromkeys(path.name for path in config.style.all_images))
    return {
        "TIFFTAG_SOFTWARE": software(),
        "TIFFTAG_IMAGEDESCRIPTION": f"A satellite scene in the style of {styles}",
        "NST_RS_STYLE": styles,
        "NST_RS_SETTINGS_SHA256": settings_digest(config),
        "NST_RS_INPUTS": "; ".join(map(_input, inputs)),
    }


def tags_of_bands(tags_: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of the file of bands beside a map with `tags_`."""
    described = {"TIFFTAG_IMAGEDESCRIPTION": "Bands of a satellite scene, with their own values"}
    return {key: value for key, value in tags_.items() if key != "NST_RS_STYLE"} | described


def _input(entry: Mapping[str, Any]) -> str:
    """Return an input's name and digest. The digest is unknown where the file does not lie on this machine."""
    name = Path(entry["path"]).name
    return name if entry["sha256"] is None else f"{name} sha256:{entry['sha256']}"
