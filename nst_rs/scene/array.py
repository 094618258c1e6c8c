"""A scene that is in memory: its pixels and where they lie, and how it becomes a file that is read like any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine

from nst_rs.errors import SceneError
from nst_rs.files.extras import naming_extras

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False, repr=False)
class SceneArray:
    """A scene that is in memory, as rasterio reads one.

    Attributes:
        values: The bands, (bands, H, W), of any type that a GeoTIFF holds.
        transform: From columns and rows to the CRS's coordinates: an affine transform, or its numbers a to f.
        crs: The CRS, as rasterio or pyproj has it, or by name.
        nodata: The value that means no data. A masked array needs one; NaN always means no data.
        bands: Names such as ``"red"``, one per band, by which ``composite.bands`` may ask for them.

    >>> SceneArray(np.zeros((3, 40, 60), "uint8"), (30, 0, 500000, 0, -30, 9000000), "EPSG:32725")
    SceneArray(3 bands of uint8, 60 × 40 pixels)
    """

    values: npt.NDArray[Any]
    transform: Affine | Sequence[float]
    crs: Any
    nodata: float | None = None
    bands: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return the scene's size in one line, whatever the shape of its array."""
        shape = np.shape(self.values)
        if len(shape) != 3:
            return f"SceneArray(an array of shape {shape})"
        return f"SceneArray({shape[0]} bands of {self.values.dtype}, {shape[2]} × {shape[1]} pixels)"

    @classmethod
    def from_xarray(cls, array: "xarray.DataArray") -> "SceneArray":
        """Return the scene that a DataArray holds, georeferenced as rioxarray understands it.

        It has one dimension of bands, whose coordinate may name them, beside the two of space; without it, it is one
        band. Raises SceneError for another shape, or without a CRS; ResourceError without rioxarray.
        """
        with naming_extras("a scene of xarray's"):
            import rioxarray as _  # noqa: F401 - gives arrays their georeference
        try:
            across, down = array.rio.x_dim, array.rio.y_dim
            others = [dimension for dimension in array.dims if dimension not in (across, down)]
            if len(others) > 1:
                raise SceneError("scene array", expected="one dimension besides those of space", got=f"{others}")
            # Where values were masked while they were read, NaN stands for what the file had for nodata.
            nodata = array.rio.nodata if array.rio.encoded_nodata is None else float("nan")
        except SceneError:
            raise
        except Exception as error:  # rioxarray has errors of many kinds for arrays without a grid
            raise SceneError("scene array", expected="dimensions y and x", got=str(error)) from error
        ordered = array.transpose(*others, down, across)
        values = ordered.to_numpy() if others else ordered.to_numpy()[np.newaxis]
        return cls(values, array.rio.transform(), array.rio.crs, nodata, _names(array, others))

    def write(self, path: Path) -> None:
        """Write the scene as a GeoTIFF. Raises SceneError for what no GeoTIFF holds, OSError for a full disk."""
        values = self._filled()
        count, height, width = values.shape
        size = {"count": count, "height": height, "width": width, "dtype": values.dtype, "nodata": self.nodata}
        place = {"crs": self._understood_crs(), "transform": self._affine()}
        layout = {"photometric": "minisblack", "alpha": "no", "compress": "deflate", "bigtiff": "if_safer"}
        try:
            with rasterio.open(path, "w", driver="GTiff", **size, **place, **layout) as target:
                target.write(values)
                for number, name in enumerate(self.bands, start=1):
                    target.set_band_description(number, name)
        except (RasterioError, TypeError, ValueError) as error:
            raise SceneError("scene array", expected="what a GeoTIFF holds", got=str(error)) from error

    def _filled(self) -> npt.NDArray[Any]:
        """Return the values, (bands, H, W), with `nodata` where they are masked. Raises SceneError."""
        values = self.values
        if np.ndim(values) != 3 or not np.size(values):
            raise SceneError(
                "scene array", expected="the shape (bands, height, width)", got=f"{np.shape(values)}", do="reshape it"
            )
        if self.bands and len(self.bands) != len(values):
            raise SceneError("scene array", expected=f"{len(values)} names of bands", got=f"{len(self.bands)}")
        if not np.ma.is_masked(values):
            return np.asarray(values)
        if self.nodata is None:
            raise SceneError("scene array", expected="a value for nodata, as it is masked", got="none", do="name one")
        return np.ma.filled(values, self.nodata)

    def _understood_crs(self) -> CRS:
        if not self.crs:
            raise SceneError("scene array", expected="a CRS", got="none", do="name one such as EPSG:32725")
        try:
            return CRS.from_user_input(self.crs)
        except CRSError as error:
            raise SceneError("scene array", expected="a CRS such as EPSG:32725", got=str(error)) from error

    def _affine(self) -> Affine:
        try:
            return Affine(*tuple(self.transform)[:6])
        except TypeError as error:
            raise SceneError("scene array", expected="an affine transform", got=repr(self.transform)) from error


def _names(array: "xarray.DataArray", others: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of a DataArray's bands; none where there are only numbers.

    Where rioxarray has read a file they are in the attribute ``long_name``; other programs put them into a coordinate.
    """
    said = array.attrs.get("long_name")
    count = array.sizes[others[0]] if others else 1
    if isinstance(said, tuple | list) and len(said) == count:
        return tuple(map(str, said))
    coordinate = array.coords[others[0]].to_numpy() if others and others[0] in array.coords else ()
    return tuple(coordinate) if all(isinstance(name, str) for name in coordinate) else ()
