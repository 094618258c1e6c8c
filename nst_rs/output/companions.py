"""The files that go with a map, in the order in which they are written and moved into place."""

from nst_rs.output import printed, report, scene_bands, stac_item, webtiles
from nst_rs.output.companion import Companion

COMPANIONS: tuple[Companion, ...] = (
    scene_bands.COMPANION,
    webtiles.COMPANION,
    printed.COMPANION,
    report.COMPANION,
    stac_item.COMPANION,  # it describes the others
)
