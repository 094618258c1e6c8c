"""VGG16 built once per process: loading it, and tracing it for a window's shape, takes longer than a small run."""

import copy
from typing import Any

from nst_rs.config.sections import RunConfig, trunk_of
from nst_rs.neural.build import build_kernel
from nst_rs.neural.device import Device
from nst_rs.neural.window_model import WindowModel
from nst_rs.objective.terms.registry import needed_statistics

_BUILT: dict[Any, WindowModel] = {}


def built_once(config: RunConfig, device: Device) -> WindowModel:
    """Build as `build_kernel` does, or copy what it has built alike; weights of one's own are always read."""
    if config.model.weights != "packaged":
        return build_kernel(config, device)
    depth, statistics = len(trunk_of(config).layers), needed_statistics(config.objective)
    key = depth, repr(statistics), config.compute.precision, config.model.pooling, device.name
    if key not in _BUILT:
        _BUILT[key] = build_kernel(config, device)
    model = copy.copy(_BUILT[key])
    model.seconds = 0.0  # every run counts its own
    return model
