"""Satellite scenes to georeferenced styled maps, by tiled neural style transfer.

>>> import nst_rs
>>> result = nst_rs.stylize(["scene/"], "painting.jpg", "map.tif")  # doctest: +SKIP
>>> result.output.name  # doctest: +SKIP
'map.tif'
"""

from nst_rs.api import inspect, plan, stylize
from nst_rs.config.loading import PRESETS
from nst_rs.errors import NstError

__all__ = ["PRESETS", "NstError", "inspect", "plan", "stylize"]
