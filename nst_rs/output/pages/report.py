"""What a person looks at afterwards: one page with the map, the scene under a slider, and how the run went."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image
from pystac import Asset, MediaType

from nst_rs.config.loading import PRESETS
from nst_rs.config.sections import RunConfig
from nst_rs.files.storage import PixelArray
from nst_rs.files.text import duration
from nst_rs.geo.footprint import lattice, north
from nst_rs.geo.grid import Grid, crs_name
from nst_rs.output.companion import Companion, FinishedMap
from nst_rs.output.figures.wording import seam_ratios
from nst_rs.output.pages.loss_chart import curves, draw
from nst_rs.output.pictures.on_the_way import SmallPicture
from nst_rs.output.pictures.preview import as_webp, preview, webp_uri
from nst_rs.output.rasters.geotiff import StyledMap
from nst_rs.style.picture import Style

PICTURE_SIDE = 1600
"""Pixels of the longer side of the pictures that a page holds."""

_STYLE_SIDE = 512
_ZOOM_SIDE = 384
_NODES = 33
"""Nodes along a side of the lattice between which the page interpolates longitude and latitude."""
_DECIMALS = 9
"""Of the lattice's numbers: of a unit vector, less than a centimetre on the ground."""
_USUAL_LEGIBILITY = {"legible": 0.58, "balanced": 0.17, "painterly": 0.22, "quick": 0.72}
"""Preset → the legibility at 4 pixels of the sample scene's map."""


@dataclass(frozen=True)
class Pictures:
    """What a page shows."""

    scene: PixelArray  # (H, W, 3) RGB in [0, 255]
    map: PixelArray  # (H, W, 3) RGB in [0, 255]
    weight: PixelArray  # (H, W)
    """Where it is 0 there is no data."""
    grid: Grid
    styles: Sequence[Style]
    """As they were read, in the order of the configuration."""
    on_the_way: Sequence[SmallPicture] = ()
    """The map on the way, from the first picture to the last."""
    zooms: Sequence[StyledMap] = ()
    """What the map shows from afar, from fine to coarse, where it has pictures of its own for that."""


def render(pictures: Pictures, tif: Path, record: Mapping[str, Any]) -> str:
    """Return the page of the map `tif`, as HTML: one file that needs no other, and no network."""
    config, levels = RunConfig.model_validate(record["configuration"]), _levels(record)
    return _template().render(
        name=tif.stem,
        map_name=tif.name,
        record=record,
        finished=_said(record["finished"]),
        grid=pictures.grid,
        crs=crs_name(pictures.grid.crs),
        before=_data_uri(preview(pictures.scene, pictures.weight, PICTURE_SIDE)),
        after=_data_uri(preview(pictures.map, pictures.weight, PICTURE_SIDE)),
        geometry=_geometry(pictures.grid),
        styles=_styles(config, pictures.styles),
        figures=_figures(record, config),
        ground=record.get("regions", []),
        levels=levels,
        on_the_way=pictures.on_the_way,
        zooms=_zooms(pictures.zooms),
        zoom_side=_ZOOM_SIDE,
        legend=list({curve.name: curve for level in levels for curve in level["curves"]}.values()),
        stages=_stages(record["seconds"]),
        command=f"nst-rs stylize --config {shlex.quote(tif.with_suffix('.run.json').name)}",
        settings=_settings(record["configuration"]),
    )


@dataclass(frozen=True)
class _Figure:
    name: str
    value: str
    unit: str
    meaning: str


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = duration
    return environment.from_string(files("nst_rs").joinpath("data/report.html").read_text(encoding="utf-8"))


def _data_uri(image: Image.Image) -> str:
    return webp_uri(as_webp(image))


def _geometry(grid: Grid) -> dict[str, Any]:
    """Return what the page needs to tell where a pixel lies."""
    nodes = lattice(grid, _NODES)
    return {
        "width": grid.width,
        "height": grid.height,
        "transform": list(grid.transform)[:6],
        "geographic": bool(grid.crs.is_geographic),
        "metresPerPixel": grid.metres_per_pixel,
        "north": north(grid),
        "lattice": None if nodes is None else [np.round(part, _DECIMALS).tolist() for part in nodes],
    }


def _styles(config: RunConfig, styles: Sequence[Style]) -> list[dict[str, Any]]:
    classes = [(path, region.name) for region in config.style.regions for path in region.images]
    shown = []
    for (path, of), style in zip(
        [*((path, "the style") for path in config.style.images), *classes], styles, strict=True
    ):
        image = preview(style.image, style.weight, _STYLE_SIDE)
        shown.append({"name": path.name, "share": style.share, "of": of, "uri": _data_uri(image), "size": image.size})
    return shown


def _zooms(zooms: Sequence[StyledMap]) -> list[dict[str, Any]]:
    """Return what the page shows of every zoom."""
    return [
        {
            "factor": 2**number,
            "shape": zoom.grid.shape,
            "uri": _data_uri(preview(zoom.picture, zoom.weight, _ZOOM_SIDE)),
        }
        for number, zoom in enumerate(zooms, start=1)
    ]


def _figures(record: Mapping[str, Any], config: RunConfig) -> list[_Figure]:
    figures = record["figures"]
    if not figures:  # they could not be measured
        return []
    seams, frame = figures["seams"], figures["frame"]
    cards = [_legibility(figures["legibility"], config, learned=not record["levels"])]
    if seams["result"] is not None:
        said = f"1 where tiles do not show, along {seams['lines']} lines. The scene's own: {_number(seams['content'])}."
        cards.append(_Figure("Seam ratio", _number(seams["result"]), f"± {_number(seams['standard_error'])}", said))
    framed = f"Far above the scene's, {_number(frame['content'])}, it would be a frame along the edge of the data."
    calm = figures["calm"]
    calmed = f"Near 1, flat areas vary as the others do: blotches. The scene's: {_number(calm['content'])}."
    speckle = figures["speckle"]
    beside = f"The scene's is {_number(speckle['content'])} there, the painting's own {_number(speckle['style'])}."
    speckled = f"What single pixels of flat areas differ by from those around them, in values of 255. {beside}"
    memory = f"{record['peak_memory_bytes'] / 1e9:.1f}"
    iterations = sum(level["iterations"] for level in record["levels"])
    passes = f"{iterations} iterations" if iterations else "One pass of a learned network"
    total = duration(sum(record["seconds"].values()))
    return [
        *cards,
        _Figure("Frame ratio", _number(frame["result"]), "", framed),
        _Figure("Calm ratio", _number(calm["result"]), "", calmed),
        _Figure("Speckle", _number(speckle["result"]), "", speckled),
        *_borders(figures),
        *_agreement(figures.get("agreement")),
        _Figure("Time", total, "", f"{passes}, on {record['device'].strip('/')}.{_cost(record.get('cost'))}"),
        _Figure("Memory", memory, "GB", "The most that the run held at a time."),
    ]


def _cost(cost: Mapping[str, Any] | None) -> str:
    """Return what the run cost, in a sentence; nothing of a run whose record does not say."""
    if cost is None:
        return ""
    on_gpu = f", and {_count(cost['gpu_seconds'])} GPU-seconds" if cost["gpu_seconds"] else ""
    return f" It cost {_count(cost['core_seconds'])} core-seconds{on_gpu}, of {cost['counted']}."


def _count(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 10 else f"{seconds:.1f}"


def _borders(figures: Mapping[str, Any]) -> list[_Figure]:
    """Return the figure of the borders between classes of ground, where there are any."""
    borders = figures.get("borders")
    if borders is None or borders["near"] is None:
        return []
    inside = "" if borders["inside"] is None else f" Farther inside it is {borders['inside']:.1%}."
    sides = ", ".join(
        f"{name} {each['near']:.1%}" for name, each in borders.get("classes", {}).items() if each["pixels"]
    )
    said = f"Of the pixels beside another class, those that look more like its paintings than like their own.{inside}"
    said += f" By class: {sides}." if sides else ""  # records of earlier versions have none by class
    return [_Figure("Borders", f"{borders['near']:.1%}", "", said)]


def _legibility(legibility: Mapping[str, float | None], config: RunConfig, learned: bool) -> _Figure:
    """Return the legibility at the largest distance, beyond the strokes' own edges, with what is usual."""
    largest = max(legibility, key=int)
    finer = ", ".join(f"{_number(value)} at {key}" for key, value in legibility.items() if key != largest)
    preset = None if learned else _preset_of(config)
    if preset is None:
        names, values = _listed(_USUAL_LEGIBILITY), _listed(map(_number, _USUAL_LEGIBILITY.values()))
        usual = f"For comparison, the presets {names} have {values} on the sample scene."
    else:
        usual = f"The preset {preset}, as here, has {_number(_USUAL_LEGIBILITY[preset])} on the sample scene."
    meaning = f"How much of the scene stays readable: 1 where all its edges are where they were, 0 where none. {usual}"
    return _Figure(
        "Legibility",
        _number(legibility[largest]),
        f"of 1, at {largest} pixels",
        f"{meaning} Finer detail gives way to strokes first: {finer} pixels.",
    )


def _agreement(figures: Mapping[str, Any] | None) -> list[_Figure]:
    """Return how the map agrees with earlier ones: nothing of a map that agrees with none."""
    if figures is None:
        return []
    cards = []
    if figures["map_change"] is not None:
        scene = figures["scene_change"]
        own = "The composites could not be compared." if scene is None else f"The scene itself changed by {scene:.1f}."
        meaning = f"How far the map is from the earlier ones where the ground has not changed. {own}"
        cards.append(_Figure("Agreement", f"{figures['map_change']:.1f}", "of 255", meaning))
    for seams in figures["seams"]:
        for each in seam_ratios(seams):
            meaning = f"1 where the border with {seams['map']} does not show, as one map lies over the other."
            cards.append(_Figure("Seam", _number(each["ratio"]), f"± {_number(each['standard_error'])}", meaning))
    return cards


def _preset_of(config: RunConfig) -> str | None:
    """Return the preset that a configuration has the settings of, or None."""
    defaults, keys = RunConfig(), {key for settings in PRESETS.values() for key in settings}
    for name, settings in PRESETS.items():
        if all(_value(config, key) == settings.get(key, _value(defaults, key)) for key in keys):
            return name
    return None


def _value(config: RunConfig, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(config, section), key)


def _listed(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _levels(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the page shows of every level; a learned style's map has none."""
    levels = []
    for number, level in enumerate(record["levels"], start=1):
        shown, total = curves(level), level["losses"]["total"]
        title = f"Losses at level {number}: total from {total[0]:.3g} to {total[-1]:.3g} in {len(total)} rounds"
        drawn = {"svg": draw(shown, title), "curves": shown, "first": total[0], "last": total[-1]}
        levels.append({**level, "number": number, **drawn})
    return levels


def _stages(seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    most = max(seconds.values(), default=0) or 1
    return [{"name": name, "seconds": taken, "share": taken / most} for name, taken in seconds.items()]


def _settings(configuration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return every setting, section.key and value; of files only the names: a page is passed on."""
    return [
        (f"{section}.{key}", _setting(value))
        for section, keys in configuration.items()
        for key, value in keys.items()
        if value is not None
    ]


def _setting(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_setting(key)}: {_setting(each)}" for key, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(_setting, value))
    return Path(value).name if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _said(moment: str) -> str:
    time = datetime.fromisoformat(moment)
    return f"{time.day} {time:%B %Y, %H:%M} UTC"


def _write(path: Path, finished: FinishedMap) -> None:
    contents = finished.contents
    styled = contents.styled
    pictures = Pictures(
        contents.scene,
        styled.picture,
        styled.weight,
        styled.grid,
        contents.styles,
        contents.on_the_way,
        styled.zooms,
    )
    path.write_text(render(pictures, finished.tif, finished.record), encoding="utf-8")


COMPANION = Companion(
    "report",
    ending=lambda _: ".html",
    endings=(".html",),
    write=_write,
    asset=lambda path: Asset(path.name, media_type=MediaType.HTML, roles=["overview"]),
)
