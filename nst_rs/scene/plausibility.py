"""What a run warns of in a scene's values. Nothing is changed on suspicion: the user says what they mean."""

import logging
from collections.abc import Sequence

from nst_rs.arrays import Mask
from nst_rs.scene.mosaic import Scene
from nst_rs.scene.opening import guess_nodata
from nst_rs.scene.raster_read import Values

log = logging.getLogger(__name__)

MANY = 0.05
"""Of the valid pixels. Correction for the atmosphere leaves fewer below 0 by itself, in shadows and over dark water."""


FEW_HOLES, SHARE_OF_HOLES = 20, 1e-4
"""So many pinholes are no cause, nor so small a part of the valid pixels: single pixels of a sensor fail."""


def warn_of_unmarked_nodata(scene: Scene) -> None:
    """Log a warning where the corners hold what often means no data, and neither a file nor the user says so."""
    value = guess_nodata([tile.product for tile in scene.tiles])
    if value is not None:
        log.warning(
            "no value is marked as no data, and the scene's corners hold %.17g in every band: it is taken for data; "
            "if it means no data, set scene.nodata=%.17g",
            value,
            value,
        )


class Pinholes:
    """Counts single pixels without data in the midst of data, as a wrong nodata value makes them."""

    def __init__(self, scene: Scene) -> None:
        """Prepare to count; where no value means no data there is nothing to do."""
        self._nodata = scene.nodata
        self._valid = self._holes = 0

    def add(self, valid: Mask) -> None:
        """Count in a window: where it holds data, (h, w). Its outermost pixels are no holes."""
        if self._nodata is None or min(valid.shape) < 3:
            return
        self._valid += int(valid.sum())
        if not valid.all():
            middle = ~valid[1:-1, 1:-1]
            beside = valid[:-2, 1:-1] & valid[2:, 1:-1] & valid[1:-1, :-2] & valid[1:-1, 2:]
            self._holes += int((middle & beside).sum())

    def warn(self) -> None:
        """Log a warning where they are many."""
        if self._holes > FEW_HOLES and self._holes > self._valid * SHARE_OF_HOLES:
            log.warning(
                "%d single pixels in the midst of data hold no data; if their value %.17g is a measurement, set "
                "scene.nodata=none, or scene.nodata_in=all where only all bands together mean it",
                self._holes,
                self._nodata,
            )


class Negatives:
    """Counts the valid pixels that an offset has turned negative in some band."""

    def __init__(self, scene: Scene, bands: Sequence[int]) -> None:
        """Prepare to count in `bands`, from 1; where none has an offset below 0 there is nothing to do."""
        products = [tile.product for tile in scene.tiles]
        lowered = [any(product.sources[band - 1].calibration.offset < 0 for product in products) for band in bands]
        self._places = [place for place, is_lowered in enumerate(lowered) if is_lowered]
        self._valid = self._negative = 0

    def add(self, values: Values, valid: Mask) -> None:
        """Count in a window: `values`, (bands, h, w), and where they hold data, (h, w)."""
        if self._places:
            self._valid += int(valid.sum())
            self._negative += int((valid & (values[self._places] < 0).any(axis=0)).sum())

    @property
    def share(self) -> float:
        """Of the valid pixels, those that are negative."""
        return self._negative / max(1, self._valid)

    def warn(self) -> None:
        """Log a warning where they are many."""
        if self.share > MANY:
            log.warning(
                "an offset makes %.0f %% of the valid pixels negative in a chosen band; if it was applied before, as "
                "some catalogues do, set scene.offset=0",
                100 * self.share,
            )
