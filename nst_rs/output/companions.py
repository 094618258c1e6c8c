"""The files that go with a map, in the order in which they are written and moved into place."""

from nst_rs.output import stac_item
from nst_rs.output.companion import Companion
from nst_rs.output.pages import printed, report
from nst_rs.output.rasters import scene_bands, webtiles

COMPANIONS: tuple[Companion, ...] = (
    scene_bands.COMPANION,
    webtiles.COMPANION,
    printed.COMPANION,
    report.COMPANION,
    stac_item.COMPANION,  # it describes the others
)
