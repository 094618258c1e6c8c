"""Scale, offset and time from the products' own metadata: Landsat's MTL.txt, Sentinel-2's MTD_MSIL*.xml."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from nst_rs.errors import SceneError
from nst_rs.files.archives import inside, read_text_in
from nst_rs.files.documents import DocumentError, read_text
from nst_rs.scene.acquisition import Acquisition

SENTINEL2_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""By the band_id that the metadata counts from 0."""

_QUANTIFICATIONS = ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE", "QUANTIFICATION_VALUE")
"""Level 2A, level 2A of baselines up to 02.07 and of Sen2Cor up to 2.5, level 1C: the first that is there is taken."""


@dataclass(frozen=True)
class Calibration:
    """Physical value = stored value × scale + offset."""

    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError where nothing can be computed with it."""
        if not (math.isfinite(self.scale) and math.isfinite(self.offset) and self.scale):
            raise ValueError(f"a scale of {self.scale} and an offset of {self.offset}")

    @property
    def changes(self) -> bool:
        """Whether stored and physical values differ."""
        return (self.scale, self.offset) != (1.0, 0.0)


def read_mtl(path: Path | str) -> dict[str, Calibration]:
    """Return band → calibration to reflectance, or to kelvin at level 2, from a Landsat MTL.txt of Collection 1 or 2.

    A level 2 MTL holds both levels' numbers under one name, in groups: the level 2 ones are taken. Bands for which it
    has none, such as level 1 thermal ones, are left out. Raises SceneError for a file that is none.
    """
    groups = _groups(_text(path))
    surface = {k: v for name, group in groups.items() if name.startswith("LEVEL2_SURFACE") for k, v in group.items()}
    values = surface or {key: value for group in groups.values() for key, value in group.items()}
    if not values:
        raise SceneError(f"metadata {path}", expected="a Landsat MTL", got="no groups of values")
    calibrations = {}
    for key, scale in values.items():
        named = re.fullmatch(r"(REFLECTANCE|TEMPERATURE)_MULT_BAND_(?:ST_)?B?(\w+)", key)
        if named:
            added = values.get(key.replace("_MULT_", "_ADD_"), "0")
            calibrations[f"B{named[2]}"] = _calibration(path, scale, added)
    return calibrations


def mtl_time(path: Path | str) -> Acquisition | None:
    """Return when a Landsat scene's middle was taken, by its MTL.txt; None where that does not say it."""
    values = {key: value for group in _groups(_text(path)).values() for key, value in group.items()}
    return Acquisition.told(f"{values.get('DATE_ACQUIRED')}T{values.get('SCENE_CENTER_TIME')}")


def safe_time(path: Path | str) -> Acquisition | None:
    """Return when the sensing of a Sentinel-2 product began, by its MTD_MSIL*.xml; None where that does not say it."""
    times = {element.tag: element.text or "" for element in _elements(_root(path))}
    return Acquisition.told(times.get("PRODUCT_START_TIME", ""))


def read_safe(path: Path | str) -> dict[str, Calibration]:
    """Return band → calibration to reflectance from a Sentinel-2 MTD_MSIL1C.xml or MTD_MSIL2A.xml.

    The offset is there since processing baseline 04.00; before, it is 0. Raises SceneError for a file that is none.
    """
    elements = list(_elements(_root(path)))
    values = {e.tag: e.text for e in elements}
    quantification = [values[tag] for tag in _QUANTIFICATIONS if tag in values]
    if not quantification:
        raise SceneError(f"metadata {path}", expected="a quantification value", got="none")
    offsets = {e.get("band_id"): e.text for e in elements if e.tag in ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")}
    divisor = quantification[0]
    return {
        band: _calibration(path, "1", offsets.get(str(number)) or "0", divisor or "")
        for number, band in enumerate(SENTINEL2_BANDS)
    }


def _root(path: Path | str) -> Element:
    try:
        root: Element = fromstring(_text(path), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise SceneError(f"metadata {path}", expected="a Sentinel-2 MTD_MSIL*.xml", got=str(error)) from error
    return root


def _elements(root: Element) -> Iterator[Element]:
    """Return all elements, their tags without the namespace."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        yield element


def _groups(text: str) -> Mapping[str, dict[str, str]]:
    """Return group → key → value of a file in the Object Description Language."""
    groups: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "GROUP":
            current = groups.setdefault(value, {})
        elif value and key != "END_GROUP":
            current[key] = value.strip('"')
    return {name: group for name, group in groups.items() if group}


def _calibration(path: Path | str, scale: str, offset: str, divisor: str = "1") -> Calibration:
    try:
        return Calibration(float(scale) / float(divisor), float(offset) / float(divisor))
    except (ValueError, ZeroDivisionError) as error:
        got = f"{scale!r} and {offset!r}, over {divisor!r}"
        raise SceneError(f"metadata {path}", expected="a scale and an offset in numbers", got=got) from error


def _text(path: Path | str) -> str:
    packed = inside(str(path))
    try:
        return read_text(Path(path)) if packed is None else read_text_in(*packed)
    except DocumentError as error:
        raise SceneError(f"metadata {path}", expected="a readable text", got=str(error)) from error
