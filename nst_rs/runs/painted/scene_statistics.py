"""The statistics of a scene by which a learned style is normalised: in a run's record, and out of an earlier one's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_rs.errors import ConfigError
from nst_rs.files.documents import DocumentError, parse_json, read_text, reason
from nst_rs.files.quiet import native_notes_hidden
from nst_rs.files.storage import PixelArray
from nst_rs.learned.normalising import Moments, is_normalised, sample
from nst_rs.learned.style_file import LearnedStyle

Recorded = Mapping[str, Any]
"""What a record holds: ``network``, a digest of the weights that were normalised, and ``moments``, convolution → a list
of means and one of variances. Floats of 64 bits hold those of 32 exactly."""


def recorded(style: LearnedStyle, moments: Moments) -> Recorded:
    """Return statistics as a record holds them."""
    return {"network": style.sha256, "moments": {name: values.tolist() for name, values in moments.items()}}


def measured(style: LearnedStyle, image: PixelArray, weight: PixelArray, device: str) -> Recorded:
    """Return the statistics of a composed scene, (H, W, 3) and (H, W), for a style, computed on `device`."""
    blocks = sample(image, weight, style.facts.architecture).in_colors(style.facts.color)
    with native_notes_hidden():
        from nst_rs.neural.normalising import measure_moments

        return recorded(style, measure_moments(style.facts.architecture, style.weights, blocks, device))


def moments_of(kept: Recorded) -> Moments:
    """Return the statistics that a record holds."""
    return {name: np.asarray(values, np.float32) for name, values in kept["moments"].items()}


def read_statistics(path: Path, style: LearnedStyle) -> tuple[Recorded, ...]:
    """Return the statistics of an earlier run of the same style, from its record: the map's, then its zooms'.

    Raises ConfigError.
    """
    try:
        record = parse_json(read_text(path))
        kept = [record["statistics"], *(zoom["statistics"] for zoom in record.get("zooms", []))]
        found = [{name: values.shape for name, values in moments_of(each).items()} for each in kept]
        networks = [each["network"] for each in kept]
    except (DocumentError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"style.statistics {path}",
            expected="the record of an earlier run with a learned style, with its statistics",
            got=reason(error),
        ) from error
    shapes = {name: (2, kernel[-1]) for name, kernel in style.facts.architecture.kernels.items() if is_normalised(name)}
    if any(network != style.sha256 for network in networks) or any(each != shapes for each in found):
        raise ConfigError(
            f"style.statistics {path}",
            expected="the record of a run with the same learned style",
            got="that of another one",
        )
    return tuple({"network": each["network"], "moments": each["moments"]} for each in kept)
