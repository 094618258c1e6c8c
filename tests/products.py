"""Products written to their specification: names, folders, metadata, values. Small, but laid out as delivered."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from tests.rasters import NORTH_UP, UTM, random_values, write_raster

TEN_METRES = NORTH_UP @ Affine.scale(1 / 3)

S2_RESOLUTIONS = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09", "B10"), 60),
}
S2_ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
GRANULE = "GRANULE/L{level}_T31TCJ_A027000_20240518T105031/IMG_DATA"
TILE = "T31TCJ_20240518T105031"
SENSED = "2024-05-18T10:50:31.024Z"


def stored(name: str, shape: tuple[int, int], dtype: str = "uint16") -> np.ndarray:
    """(1, H, W) values that differ from band to band, from 1001 up."""
    return random_values((1, *shape), dtype, seed=sum(map(ord, name))) + np.array(
        1000 if dtype == "uint16" else 0, dtype
    )


def write_jp2(path: Path, values: np.ndarray, resolution: float) -> None:
    """Write a lossless JPEG 2000, as Sentinel-2's bands are."""
    transform = NORTH_UP @ Affine.scale(resolution / 30)
    size = {"count": 1, "height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    options = {"QUALITY": "100", "REVERSIBLE": "YES", "crs": UTM, "transform": transform}
    with rasterio.open(path, "w", driver="JP2OpenJPEG", **size, **options) as target:
        target.write(values)


def write_safe(folder: Path, level: str, pixels: int = 36, offset: int | None = -1000) -> Path:
    """Write a SAFE folder of level ``1C`` or ``2A``, `pixels` of 10 m wide; `offset` as since baseline 04.00."""
    safe = folder / f"S2A_MSIL{level}_20240518T105031_N0510_R051_T31TCJ_20240518T143359.SAFE"
    images = safe / GRANULE.format(level=level)
    images.mkdir(parents=True)
    for band, resolution in S2_RESOLUTIONS.items():
        sizes = [resolution] if level == "1C" else [size for size in (10, 20, 60) if size >= resolution]
        if level == "2A" and band == "B10":
            continue
        for size in sizes:
            inside = images if level == "1C" else images / f"R{size}m"
            inside.mkdir(exist_ok=True)
            name = f"{TILE}_{band}.jp2" if level == "1C" else f"{TILE}_{band}_{size}m.jp2"
            write_jp2(inside / name, stored(band, (pixels * 10 // size,) * 2), size)
    if level == "2A":
        classes = np.full((1, pixels // 2, pixels // 2), 4, "uint8")
        classes[:, :5, :4] = 9  # cloud of high probability
        write_jp2(images / "R20m" / f"{TILE}_SCL_20m.jp2", classes, 20)
        write_jp2(images / "R10m" / f"{TILE}_TCI_10m.jp2", stored("TCI", (pixels, pixels), "uint8"), 10)
    (safe / f"MTD_MSIL{level}.xml").write_text(safe_metadata(level, offset))
    return safe


def write_old_safe(folder: Path, pixels: int = 36) -> Path:
    """Write a SAFE folder of level 1C as delivered until December 2016, `pixels` of 10 m wide."""
    safe = folder / "S2A_OPER_PRD_MSIL1C_PDMC_20151201T120000_R022_V20151201T101010_20151201T101010.SAFE"
    granule = "S2A_OPER_MSI_L1C_TL_SGS__20151201T101010_A002345_T31TCJ"
    images = safe / "GRANULE" / f"{granule}_N02.00" / "IMG_DATA"
    images.mkdir(parents=True)
    for band, resolution in S2_RESOLUTIONS.items():
        write_jp2(images / f"{granule}_{band}.jp2", stored(band, (pixels * 10 // resolution,) * 2), resolution)
    (safe / "S2A_OPER_MTD_SAFL1C_PDMC_20151201T120000_R022_V20151201T101010_20151201T101010.xml").write_text(
        safe_metadata("1C", None)
    )
    return safe


def safe_metadata(level: str, offset: int | None) -> str:
    """The part of a product's metadata that says what its values mean."""
    kind = "RADIO" if level == "1C" else "BOA"
    added = "".join(f'<{kind}_ADD_OFFSET band_id="{number}">{offset}</{kind}_ADD_OFFSET>' for number in range(13))
    offsets = "" if offset is None else f"<Offset_List>{added}</Offset_List>"
    quantification = "QUANTIFICATION_VALUE" if level == "1C" else "BOA_QUANTIFICATION_VALUE"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info>
<Product_Info><PRODUCT_START_TIME>{SENSED}</PRODUCT_START_TIME><PRODUCT_STOP_TIME>{SENSED}</PRODUCT_STOP_TIME></Product_Info>
<Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
<{quantification} unit="none">10000</{quantification}>{offsets}
</Product_Image_Characteristics></n1:General_Info></n1:Level-{level}_User_Product>
"""


def write_landsat_level2(
    folder: Path, satellite: str = "LC08", bands: Sequence[str] = ("B2", "B3", "B4", "B5")
) -> Path:
    """Write a Landsat Collection 2 level 2 product with its MTL; a cloud in the upper left, fill along the right."""
    product = f"{satellite}_L2SP_224078_20200518_20200820_02_T1"
    for band in bands:
        values = stored(band, (20, 24)) + np.uint16(8000)
        values[..., -2:] = 0
        write_raster(folder / f"{product}_SR_{band}.TIF", values)
    quality = np.full((1, 20, 24), 21824, "uint16")  # clear
    quality[:, :6, :5] = 22280  # cloud of high confidence
    quality[..., -2:] = 1  # fill
    write_raster(folder / f"{product}_QA_PIXEL.TIF", quality, nodata=1)
    rescaling = {
        f"REFLECTANCE_{key}_BAND_{band[1:]}": v for band in bands for key, v in (("MULT", 2.75e-05), ("ADD", -0.2))
    }
    level1 = {key: 2e-05 if "MULT" in key else -0.1 for key in rescaling}
    groups = {"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": rescaling, "LEVEL1_RADIOMETRIC_RESCALING": level1}
    (folder / f"{product}_MTL.txt").write_text(mtl("LANDSAT_METADATA_FILE", groups))
    return folder


def mtl(root: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Metadata in the Object Description Language."""
    lines = [f"GROUP = {root}"]
    for name, values in groups.items():
        lines += [
            f"  GROUP = {name}",
            *(f"    {key} = {value}" for key, value in values.items()),
            f"  END_GROUP = {name}",
        ]
    return "\n".join([*lines, f"END_GROUP = {root}", "END", ""])
