"""STAC items to test with, written as their providers write them, with small real GeoTIFFs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio.transform

from tests.rasters import NORTH_UP, random_values, write_raster

GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"

Assets = dict[str, dict[str, Any]]


def item(assets: Mapping[str, Any], name: str = "scene", **fields: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None,
        "properties": {"datetime": "2024-05-18T10:50:31Z"},
        "links": [],
        "assets": dict(assets),
        **fields,
    }


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def raster(file: str, size: int = 10, count: int = 1, dtype: str = "uint16", **fields: Any) -> dict[str, Any]:
    """Return an asset; :func:`write_item` writes `file` with `count` bands, of pixels of `size` on 120 by 120 metres.

    What the file is written with beside these, such as photometric, stands under ``profile``.
    """
    return {"href": file, "type": GEOTIFF, "roles": ["data"], "make": (size, count, dtype), **fields}


def write_item(folder: Path, assets: Mapping[str, Any], **fields: Any) -> Path:
    """Write an item and the rasters of its assets into `folder`, and return the item's path."""
    plain: Assets = {}
    for seed, (key, asset) in enumerate(assets.items()):
        plain[key] = {field: value for field, value in asset.items() if field not in ("make", "profile")}
        if "make" in asset:
            write_asset(folder / asset["href"], *asset["make"], seed=seed, **asset.get("profile", {}))
    return written(folder / "item.json", item(plain, **fields))


def write_asset(path: Path, size: int, count: int, dtype: str, seed: int, **profile: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    side = 120 // size
    transform = rasterio.transform.from_origin(NORTH_UP.c, NORTH_UP.f, size, size)
    write_raster(path, random_values((count, side, side), dtype, seed), transform=transform, **profile)


def eo(*bands: str, **more: Any) -> Sequence[dict[str, Any]]:
    """Return the bands of eo:bands: each ``name common``, or a name alone."""
    named = (band.split() for band in bands)
    return [{"name": band[0], **({"common_name": band[1]} if len(band) > 1 else {}), **more} for band in named]


def sentinel2_file(band: str, size: int) -> str:
    return f"T31TCJ_20240518T105031_{band}_{size}m.tif"


def planetary_computer_sentinel2() -> Assets:
    """Keys in capitals, a rendering with the role of data, every red edge and the narrow infrared called rededge."""
    named = {"B02": "blue", "B03": "green", "B04": "red", "B05": "rededge", "B06": "rededge", "B8A": "rededge"}
    sizes = {"B05": 20, "B06": 20, "B8A": 20, "B09": 60, "B12": 20}
    bands = {
        key: raster(sentinel2_file(key, sizes.get(key, 10)), sizes.get(key, 10), **{"eo:bands": eo(f"{key} {common}")})
        for key, common in {**named, "B09": "", "B12": "swir22"}.items()
    }
    return {
        "AOT": raster(sentinel2_file("AOT", 10)),
        **bands,
        "SCL": raster(sentinel2_file("SCL", 20), 20, dtype="uint8"),
        "visual": raster(
            sentinel2_file("TCI", 10), 10, 3, "uint8", **{"eo:bands": eo("B04 red", "B03 green", "B02 blue")}
        ),
        "preview": {"href": "https://a.org/preview", "type": "image/png", "roles": ["overview"]},
    }


def earth_search_sentinel2() -> Assets:
    """Short file names, three bands called rededge told apart by their wavelength, and JPEG 2000 copies."""
    centres = {"rededge1": 0.704, "rededge2": 0.74, "rededge3": 0.783}
    bands = {"red": "B04", "green": "B03", "blue": "B02", "rededge1": "B05", "rededge2": "B06", "rededge3": "B07"}
    described = {
        key: eo(f"{name} {key.rstrip('123')}", **({"center_wavelength": centres[key]} if key in centres else {}))
        for key, name in bands.items()
    }
    assets = {key: raster(f"{name}.tif", **{"eo:bands": described[key]}) for key, name in bands.items()}
    copies = {
        f"{key}-jp2": {"href": f"s3://bucket/{name}.jp2", "type": "image/jp2", "eo:bands": described[key]}
        for key, name in bands.items()
    }
    return {
        **assets,
        "visual": raster("TCI.tif", 10, 3, "uint8", roles=["visual"]),
        "wvp": raster("WVP.tif", 20),
        "scl": raster("SCL.tif", 20, dtype="uint8"),
        "thumbnail": {"href": "thumbnail.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
        **copies,
    }


def stactools_sentinel2() -> Assets:
    """Every band at all its resolutions, coarse ones first; of the copies nothing but the transform tells the size."""

    def one(key: str, band: str, common: str, size: int) -> tuple[str, dict[str, Any]]:
        fields = {"eo:bands": eo(f"{band} {common}"), "proj:transform": [size, 0, 5e5, 0, -size, 9e6]}
        return key, raster(sentinel2_file(band, size), size, **fields)

    bands = {"blue": "B02", "green": "B03", "red": "B04"}
    edges = {"rededge1": "B05", "rededge2": "B06", "rededge3": "B07"}
    return dict(
        [
            *(one(f"{key}_20m", band, key, 20) for key, band in bands.items()),
            *(one(key, band, "rededge", 20) for key, band in edges.items()),
            *(one(f"{key}_60m", band, key, 60) for key, band in bands.items()),
            ("visual_60m", raster(sentinel2_file("TCI", 60), 60, 3, "uint8", roles=["visual"])),
            *(one(key, band, key, 10) for key, band in bands.items()),
            ("scl_60m", raster(sentinel2_file("SCL", 60), 60, dtype="uint8")),
            ("scl", raster(sentinel2_file("SCL", 20), 20, dtype="uint8")),
        ]
    )


def stac11_sentinel2() -> Assets:
    """STAC 1.1: what holds for all bands of an asset stands at the asset, and there is no list of bands."""
    commons = {"B01": "coastal", "B02": "blue", "B03": "green", "B04": "red"}
    centres = {"B05": 0.7039, "B06": 0.7402}
    values = {"data_type": "uint16", "nodata": 7, "raster:scale": 0.0001, "raster:offset": -0.1}
    return {
        **{key: raster(f"{key}.tif", **values, **{"eo:common_name": common}) for key, common in commons.items()},
        **{key: raster(f"{key}.tif", 20, **values, **{"eo:center_wavelength": um}) for key, um in centres.items()},
        "SCL": raster("SCL.tif", 20, dtype="uint8"),
    }


def data_space_sentinel2() -> Assets:
    """The Copernicus Data Space: the resolution in every key, new common names in `bands`."""
    bands = {"B02": "blue", "B03": "green", "B04": "red", "B05": "rededge071", "B8A": "nir08"}
    return {
        **{
            f"{name}_{size}m": raster(
                sentinel2_file(name, size), size, gsd=size, bands=[{"name": name, "eo:common_name": common}]
            )
            for size in (20, 10)
            for name, common in bands.items()
            if size == 20 or name not in ("B05", "B8A")
        },
        "TCI_10m": raster(sentinel2_file("TCI", 10), 10, 3, "uint8", roles=["visual"]),
        "SCL_20m": raster(sentinel2_file("SCL", 20), 20, dtype="uint8"),
    }


def landsat() -> Assets:
    """USGS LandsatLook and the Planetary Computer: band 5 is nir08; flags and by-products beside the bands."""
    bands = {"blue": "B2", "green": "B3", "red": "B4", "nir08": "B5", "swir16": "B6", "swir22": "B7"}
    product = "LC08_L2SP_047027_20201204_20210313_02_T1"
    return {
        "qa_pixel": raster(f"{product}_QA_PIXEL.TIF", 30, roles=["cloud", "cloud-shadow", "snow-ice"]),
        "qa_radsat": raster(f"{product}_QA_RADSAT.TIF", 30, roles=["saturation"]),
        **{
            key: raster(f"{product}_SR_{name}.TIF", 30, **{"eo:bands": eo(f"OLI_{name} {key}")})
            for key, name in bands.items()
        },
        "lwir11": raster(f"{product}_ST_B10.TIF", 30, gsd=100, **{"eo:bands": eo("TIRS_B10 lwir11")}),
        "atran": raster(f"{product}_ST_ATRAN.TIF", 30, dtype="int16"),
    }


def landsat_mss() -> Assets:
    """Landsat 1 to 5 MSS: there is no blue, and the near infrared is nir08 and nir09."""
    bands = {"green": "B4", "red": "B5", "nir08": "B6", "nir09": "B7"}
    product = "LM01_L1GS_001010_19720908_20200909_02_T2"
    return {
        key: raster(f"{product}_{name}.TIF", 60, dtype="uint8", **{"eo:bands": eo(f"{name} {key}")})
        for key, name in bands.items()
    }


def modis() -> Assets:
    """Reflectances with nir08 and no nir, quality in whole numbers of 32 bits, and an HDF file."""
    bands = {"b01": "red", "b02": "nir08", "b03": "blue", "b04": "green", "b06": "swir16"}
    return {
        "hdf": {"href": "MOD09A1.hdf", "type": "application/x-hdf", "roles": ["data"]},
        **{
            f"sur_refl_{key}": raster(f"{key}.tif", 60, 1, "int16", **{"eo:bands": eo(f"sur_refl_{key} {common}")})
            for key, common in bands.items()
        },
        "sur_refl_qc_500m": raster("qc.tif", 60, dtype="complex64"),
    }


def modis_vegetation() -> Assets:
    """Nothing is described, and one asset is of a type that is not read."""
    names = ("EVI", "NDVI", "red_reflectance", "blue_reflectance")
    return {
        **{f"500m_16_days_{name}": raster(f"{name}.tif", 60, dtype="int16") for name in names},
        "500m_16_days_view_angle": raster("angle.tif", 60, dtype="complex64"),
        "500m_16_days_VI_Quality": raster("quality.tif", 60, dtype="uint8"),
    }


def aster() -> Assets:
    """Green, red and infrared in a file whose tags say red, green and blue; several bands called swir22 and lwir."""
    rgb = {"photometric": "RGB"}
    return {
        "VNIR": raster(
            "VNIR.tif", 15, 3, "uint8", profile=rgb, **{"eo:bands": eo("VNIR_1 green", "VNIR_2 red", "VNIR_3N nir08")}
        ),
        "SWIR": raster(
            "SWIR.tif", 30, 3, "uint8", **{"eo:bands": eo("SWIR_4 swir16", "SWIR_5 swir22", "SWIR_6 swir22")}
        ),
        "TIR": raster("TIR.tif", 60, 2, "uint16", **{"eo:bands": eo("TIR_10 lwir", "TIR_11")}),
    }


def naip() -> Assets:
    bands = eo("Red red", "Green green", "Blue blue", "NIR nir")
    return {
        "image": raster("m_3811554_se_11_060_20190830.tif", 1, 4, "uint8", **{"eo:bands": bands}),
        "metadata": {"href": "m.txt", "type": "text/plain", "roles": ["metadata"]},
    }


def maxar() -> Assets:
    """A finer rendering of the same colours beside the measurements, both with the role of data."""
    rgb = eo("BAND_R red", "BAND_G green", "BAND_B blue")
    return {
        "visual": raster("10300100-visual.tif", 1, 3, "uint8", **{"eo:bands": rgb}),
        "ms_analytic": raster(
            "10300100-ms.tif", 2, 4, **{"eo:bands": eo("BAND_B blue", "BAND_G green", "BAND_R red", "BAND_N nir")}
        ),
        "pan_analytic": raster("10300100-pan.tif", 1, **{"eo:bands": eo("BAND_P pan")}),
        "data-mask": {"href": "mask.gpkg", "type": "application/geopackage+sqlite3", "roles": ["data-mask"]},
    }


def planet() -> Assets:
    """One file of several bands, with a scale for each, in STAC 1.1."""
    names = ("red", "green", "blue", "nir")
    bands = [
        {"name": f"band-{number}", "eo:common_name": common, "raster:scale": number / 100, "raster:offset": 0}
        for number, common in enumerate(names, start=1)
    ]
    return {
        "data": raster("analytic.tif", 3, 4, nodata=0, data_type="uint16", bands=bands),
        "overview": {"href": "browse.jpg", "type": "image/jpeg", "roles": ["overview"]},
    }


def radar() -> Assets:
    return {key: raster(f"{key}.tiff", 10, **{"eo:bands": eo(key.upper())}) for key in ("vh", "vv")}


def polarizations() -> Assets:
    return {
        **{key: raster(f"iw-{key}.tiff", 10, **{"sar:polarizations": [key.upper()]}) for key in ("vv", "vh")},
        "noise": raster("noise.tiff", 10, roles=["metadata"]),
    }


def hls() -> Assets:
    """Nothing but keys."""
    return {name: raster(f"HLS.S30.T31TCJ.{name}.tif", 30, dtype="int16") for name in ("B01", "B02", "B03", "Fmask")}


def keyed() -> Assets:
    """Keys that are common names, without any description, and another beside them."""
    return {name: raster(f"{name}.tif") for name in ("red", "green", "blue", "lowres")}


def numbered() -> Assets:
    """As rio-stac describes files: every band is b1."""
    return {name: raster(f"{name}.tif", **{"eo:bands": eo("b1")}) for name in ("B02", "B03", "B04")}


def rendering() -> Assets:
    """OpenAerialMap, and STAC's own simple item."""
    return {
        "thumbnail": {"href": "small.png", "type": "image/png", "roles": ["thumbnail"]},
        "visual": raster("visual.tif", 10, 3, "uint8", roles=["visual"], profile={"photometric": "RGB"}),
    }


def classes() -> Assets:
    return {"map": raster("map.tif", 10, dtype="uint8", **{"classification:classes": [{"value": 10}]})}


def landsat_by_number() -> Assets:
    """USGS in 2020: keys are ends of files' names; bands are numbers of the list in the item's properties."""
    product = "LC08_L2SR_081119_20200101_20200823_02_T2"
    ends = ("SR_B2.TIF", "SR_B3.TIF", "SR_B4.TIF", "SR_B5.TIF")
    return {
        **{end: raster(f"{product}_{end}", 30, **{"eo:bands": [number]}) for number, end in enumerate(ends)},
        "QA_PIXEL.TIF": raster(f"{product}_QA_PIXEL.TIF", 30, roles=None),
    }
