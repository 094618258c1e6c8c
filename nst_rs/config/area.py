"""The forms in which ``scene.area`` names a part of the scene: degrees, the grid's units, its pixels, or a file."""

from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from nst_rs.config.base import InWords, Section
from nst_rs.config.paths import LocalPath

Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Pixel = Annotated[int, Field(ge=0)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]


def _with_keys(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and set(value) != set(keys):
        raise ValueError(f"{', '.join(keys[:-1])} and {keys[-1]}")
    return value


class UnitsArea(Section):
    """A part of the scene, by coordinates in the units of its grid."""

    left: Coordinate
    bottom: Coordinate
    right: Coordinate
    top: Coordinate

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return _with_keys(value, ("left", "bottom", "right", "top"))

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not (self.left < self.right and self.bottom < self.top):
            raise ValueError("left below right, and bottom below top")
        return self


class PixelsArea(Section):
    """A part of the scene, by its pixels."""

    rows: tuple[Pixel, Pixel]
    """The first row, counted from 0 at the top, and the row after the last."""
    columns: tuple[Pixel, Pixel]
    """The first column, counted from 0 at the left, and the column after the last."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return _with_keys(value, ("rows", "columns"))

    @field_validator("rows", "columns")
    @classmethod
    def _rising(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] >= value[1]:
            raise ValueError("two rising numbers")
        return value


def _form_of(value: Any) -> str:
    """Return the form in which a value names an area."""
    if isinstance(value, PixelsArea) or (isinstance(value, dict) and {"rows", "columns"} & value.keys()):
        return "pixels"
    if isinstance(value, UnitsArea | dict):
        return "units"
    return "degrees" if isinstance(value, list | tuple) else "file"


PartOfScene = Annotated[
    Annotated[tuple[Longitude, Latitude, Longitude, Latitude], Tag("degrees")]
    | Annotated[UnitsArea, Tag("units")]
    | Annotated[PixelsArea, Tag("pixels")]
    | Annotated[LocalPath, Tag("file")],
    Discriminator(_form_of),
    InWords("four numbers in degrees, left, bottom, right and top, rows and columns, or a path"),
]
"""Any form of an area."""
