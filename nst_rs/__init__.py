"""Satellite scenes to georeferenced styled maps, by tiled neural style transfer.

>>> import nst_rs
>>> result = nst_rs.stylize("scene/", "painting.jpg", "map.tif", preset="legible")  # doctest: +SKIP
>>> result.read().shape  # doctest: +SKIP
(352, 349, 3)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nst_rs.api import inspect, learn, plan, stylize, sweep
from nst_rs.config.loading import PRESETS
from nst_rs.errors import NstError
from nst_rs.files.quiet import importing_tensorflow

if TYPE_CHECKING:
    from nst_rs.runs.finish import Result
    from nst_rs.runs.progress import Listener
    from nst_rs.scene.array import SceneArray

    __version__: str

__all__ = [
    "PRESETS",
    "Listener",
    "NstError",
    "Result",
    "SceneArray",
    "__version__",
    "inspect",
    "learn",
    "plan",
    "stylize",
    "sweep",
]

_WHERE = {"Result": "nst_rs.runs.finish", "Listener": "nst_rs.runs.progress", "SceneArray": "nst_rs.scene.array"}
"""Name → the module that has it, which is imported when the name is asked for: rasterio and TensorFlow take seconds."""


def __getattr__(name: str) -> Any:
    """Return what is imported only when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("nst-rs")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing_tensorflow():
        return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    """Return also what is not imported yet."""
    return sorted({*globals(), *__all__})
