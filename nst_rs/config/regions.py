"""Classes of ground with a style each, ``style.regions``: where a class is, its paintings, how legible it stays."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)

from nst_rs.config.base import Section, Weight
from nst_rs.config.paths import LocalPath, WeightedStyles

Sign = Literal[">", ">=", "<", "<="]
_THRESHOLD = re.compile(
    r"\s*(?P<channel>\w+)\s*(?P<sign>[<>]=?)\s*(?P<limit>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)\s*", re.I
)
_FORMS = (
    "a threshold such as 'ndwi > 0', product: with names of classes, raster: with values, "
    "or polygons: perhaps with attribute and values"
)
PRODUCT_CLASSES = ("water", "snow", "cloud", "vegetation", "bare")
"""The classes by which products tell what a pixel shows; nst_rs/scene/classes.py knows which product tells which."""

ProductClass = Literal["water", "snow", "cloud", "vegetation", "bare"]


class Threshold(NamedTuple):
    """A spectral index or a band, compared with a number."""

    channel: str
    sign: Sign
    limit: float


def parse_threshold(text: str) -> Threshold:
    """Return what ``ndwi > 0`` means. Raises ValueError for another text.

    >>> parse_threshold("ndvi >= 0.4")
    Threshold(channel='ndvi', sign='>=', limit=0.4)
    """
    parts = _THRESHOLD.fullmatch(text)
    if parts is None:
        raise ValueError(_FORMS)
    sign: Any = parts["sign"]
    return Threshold(parts["channel"], sign, float(parts["limit"]))


def _checked(text: str) -> str:
    parse_threshold(text)
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


class OfProduct(Section):
    """Where the product's own quality band says one of these classes."""

    product: Annotated[tuple[ProductClass, ...], BeforeValidator(_as_list), Field(min_length=1)]


Values = Annotated[tuple[StrictInt | StrictStr, ...], BeforeValidator(_as_list), Field(min_length=1)]


class OfRaster(Section):
    """Where a raster of classes, on any grid, holds one of these values."""

    raster: LocalPath
    values: Values
    """Numbers, or names of ESA WorldCover's legend."""


class OfPolygons(Section):
    """Inside of polygons: all of a file's, or those whose attribute has one of these values."""

    polygons: LocalPath
    attribute: StrictStr | None = None
    values: Annotated[tuple[StrictInt | StrictStr, ...], BeforeValidator(_as_list)] = ()

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.attribute is None) == bool(self.values):
            raise ValueError("attribute and values together, or neither")
        return self


def _form_of(value: Any) -> str | None:
    """Return the form in which a value says where a class is; messages know the forms by their sections' names."""
    if isinstance(value, str):
        return "threshold"
    keys = value if isinstance(value, dict) else dict(value) if isinstance(value, Section) else {}
    forms = {"product": OfProduct, "raster": OfRaster, "polygons": OfPolygons}
    return next((form.__name__ for key, form in forms.items() if key in keys), None)


Where = Annotated[
    Annotated[str, AfterValidator(_checked), Tag("threshold")]
    | Annotated[OfProduct, Tag(OfProduct.__name__)]
    | Annotated[OfRaster, Tag(OfRaster.__name__)]
    | Annotated[OfPolygons, Tag(OfPolygons.__name__)],
    Discriminator(_form_of, custom_error_type="form", custom_error_message=_FORMS),
]
"""Any form of saying where a class is."""


class Region(Section):
    """One class of ground."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=60)]
    where: Where | None = None
    """Where the class is, unless an earlier class is there; the last class is all the rest, and says nothing."""
    images: WeightedStyles = Field({})
    """As ``style.images``. A class without any is not styled: the map shows the scene there."""
    legibility: Weight = 1.0
    """The factor of ``objective.alpha`` in this class."""

    @field_validator("images")
    @classmethod
    def _weighing(cls, value: dict[Path, float]) -> dict[Path, float]:
        if value and not any(value.values()):
            raise ValueError("an image of a weight above 0, or no images")
        return value

    def __repr__(self) -> str:
        """Return its name, by which messages call it."""
        return self.name

    @property
    def is_styled(self) -> bool:
        """Whether the class has a painting."""
        return bool(self.images)

    @property
    def shares(self) -> dict[Path, float]:
        """Image → its share of the class's style; they add up to one."""
        return {path: weight / sum(self.images.values()) for path, weight in self.images.items()}

    @property
    def files(self) -> tuple[Path, ...]:
        """The file that says where the class is, where one does."""
        if isinstance(self.where, OfRaster):
            return (self.where.raster,)
        return (self.where.polygons,) if isinstance(self.where, OfPolygons) else ()

    @property
    def said(self) -> str:
        """Where the class is, in a few words, without the places of files."""
        where = self.where
        if where is None or isinstance(where, str):
            return where or "the rest"
        if isinstance(where, OfProduct):
            return f"the product says {' or '.join(where.product)}"
        (path,) = self.files
        values = " or ".join(map(str, where.values))
        if isinstance(where, OfRaster):
            return f"{path.name} holds {values}"
        return f"{path.name}: {where.attribute} is {values}" if where.attribute else f"inside of {path.name}"

    def without_places(self, mark: Callable[[Path], str]) -> dict[str, Any]:
        """Return the class as JSON holds it, with what `mark` returns in place of every file."""
        data = self.model_dump(mode="json")
        data["images"] = sorted((mark(path), share) for path, share in self.shares.items())
        for path in self.files:
            data["where"] = {key: mark(path) if value == str(path) else value for key, value in data["where"].items()}
        return data


def check_classes(regions: Sequence[Region]) -> None:
    """Raise ValueError, with what was expected, for classes that do not belong together."""
    names = [region.name for region in regions]
    if len(regions) == 1:
        raise ValueError("two classes or more: the last one is all the rest")
    if len(set(names)) < len(names):
        raise ValueError("classes of different names")
    if len(names) > 254:
        raise ValueError("254 classes at most")
    open_ones = [region.name for region in regions[:-1] if region.where is None]
    if open_ones:
        raise ValueError(f"where for the class {open_ones[0]}: only the last class is all the rest")
    if regions and regions[-1].where is not None:
        raise ValueError(f"no where for the last class, {names[-1]}, which is all the rest")
    if regions and not any(region.is_styled for region in regions):
        raise ValueError("images for one class at least")
