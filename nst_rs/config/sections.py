"""One run as data: frozen sections, unknown keys refused, one file a run."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from nst_rs.vgg16 import VGG16, Trunk

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LayerWeights = dict[str, Weight]
Channels = Annotated[int, Field(ge=1, le=512)]
Band = StrictInt | str
Archive = Literal["pmtiles", "mbtiles"]
Color = Literal["style", "scene", "histogram"]
Pair = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]
Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Profile = Literal["deflate", "lzw", "jpeg", "webp"]

_ITERATIONS = (30, 60, 100)
"""Steps by default at the finest level, the next coarser one, and all others."""

SMALLEST_STYLE, LARGEST_STYLE = 64, 4096
"""What ``style.size`` may be."""

MOST_LEVELS = 12

NAMED_WEIGHTS = ("packaged", "imagenet")
"""What ``model.weights`` may be besides a path."""

CONTENT_LAYERS = {"conv4_2": 6e-5}
STYLE_LAYERS = {"conv1_1": 6e-7, "conv2_1": 3e-10, "conv3_1": 1e-10, "conv4_1": 1e-9, "conv5_1": 3e-6}
"""Weights that even out the layers, whose features differ by orders of magnitude: each is a fifth (content: one) over
the layer's loss against a blank picture, for paintings scaled to 512 pixels. They make α and β numbers around one."""


class Section(BaseModel):
    """What all sections share."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


def _with_keys(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict) and set(value) != set(keys):
        raise ValueError(f"{', '.join(keys[:-1])} and {keys[-1]}")
    return value


class UnitsArea(Section):
    """A part of the scene, by coordinates in the units of its grid."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return _with_keys(value, ("left", "bottom", "right", "top"))

    left: Coordinate
    bottom: Coordinate
    right: Coordinate
    top: Coordinate

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not (self.left < self.right and self.bottom < self.top):
            raise ValueError("left below right, and bottom below top")
        return self


class PixelsArea(Section):
    """A part of the scene, by its pixels."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return _with_keys(value, ("rows", "columns"))

    rows: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]
    """The first one, counted from 0 at the top, and the one after the last."""
    columns: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]

    @field_validator("rows", "columns")
    @classmethod
    def _rising(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] >= value[1]:
            raise ValueError("two rising numbers")
        return value


def _kind_of_area(value: Any) -> str:
    """Return which of the forms of an area a value is to be understood as."""
    if isinstance(value, PixelsArea) or (isinstance(value, dict) and {"rows", "columns"} & value.keys()):
        return "pixels"
    if isinstance(value, UnitsArea | dict):
        return "units"
    return "degrees" if isinstance(value, list | tuple) else "file"


class SceneSection(Section):
    """Which files are the scene, and how they are understood: docs/products.md."""

    paths: tuple[str, ...] = ()
    """Products, files or folders of them, STAC items; or what GDAL reads, such as ``/vsicurl/`` and ``s3://``."""
    sensor: str = "auto"
    """``auto``: as file names and metadata say; ``none``; or a sensor's name."""
    sensors: Path | None = None
    """A file of sensors of one's own, as those in nst_rs/data/sensors."""
    assets: tuple[str, ...] = ()
    """Of a STAC item, by key; none: those that hold data."""
    nodata: float | Literal["guess", "none"] | None = None
    """The stored value that means no data, in place of what the files' own tags and the product say; ``none``: no value
    does; ``guess``: what the corners hold, where that is a value that often means it. Masks and alpha bands count in
    any case."""
    nodata_in: Literal["auto", "any", "all"] = "auto"
    """Whether a pixel is without data where ``any`` of its bands holds that value, or where ``all`` of them do;
    ``auto``: all in a file of several bands of 8 bits, where 0 and 255 are colours like others, else any."""
    saturated: Literal["keep", "nodata"] = "keep"
    """Whether pixels at which the instrument saturated, as the product defines it, are data."""
    scale: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Physical value = stored value × scale + offset; none: as the product's metadata says."""
    offset: Annotated[float, Field(allow_inf_nan=False)] | None = None
    crs: str | None = None
    """The CRS of the map, into which what lies elsewhere is brought; none: the first product's."""
    resolution: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["finest", "coarsest"] = "finest"
    """Of the chosen bands, or the side of a pixel in the CRS's units."""
    resampling: Literal["nearest", "bilinear", "cubic"] = "bilinear"
    """How bands of another grid are brought onto the scene's."""
    area: (
        Annotated[
            Annotated[tuple[Longitude, Latitude, Longitude, Latitude], Tag("degrees")]
            | Annotated[UnitsArea, Tag("units")]
            | Annotated[PixelsArea, Tag("pixels")]
            | Annotated[Path, Tag("file")],
            Discriminator(_kind_of_area),
        ]
        | None
    ) = None
    """West, south, east, north in degrees, to which the scene is cut; or ``left``, ``bottom``, ``right``, ``top`` in
    the units of its grid; or ``rows`` and ``columns`` of it; or a GeoJSON file of polygons, outside of which there is
    no data."""

    @field_validator("paths", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return [str(path) if isinstance(path, Path) else path for path in value] if _is_list(value) else value

    @field_validator("area", mode="before")
    @classmethod
    def _four(cls, value: Any) -> Any:
        if _is_list(value) and len(value) != 4:
            raise ValueError("west, south, east and north in degrees, such as [9.0, 45.1, 9.2, 45.3]")
        return value

    @field_validator("scale")
    @classmethod
    def _not_zero(cls, value: float | None) -> float | None:
        if value == 0:
            raise ValueError("a number other than 0")
        return value


class CompositeSection(Section):
    """How bands become RGB."""

    bands: tuple[Band, Band, Band] | str | None = None
    """For red, green and blue: numbers from 1, names, spectral indices; or a composite's name, such as ``true_color``.
    None: red, green and blue by name, else the first three."""
    stretch: Literal["percentile", "minmax"] = "percentile"
    percentiles: tuple[float, float] = (2.0, 98.0)
    """The percentiles of each band's valid pixels that become 0 and 255."""
    limits: tuple[Pair, Pair, Pair] | Path | None = None
    """What becomes 0 and 255 in red, green and blue, in place of percentiles; or an earlier run's record, to take its
    limits."""
    gamma: float = Field(1.0, gt=0, le=10)
    """Above 1 the middle is brightened: v → v^(1/gamma), v from 0 to 1."""
    sigmoid: Literal[0] | Annotated[float, Field(ge=0.01, le=50)] = 0
    """Contrast in the middle, at the cost of both ends; 0: none. nst_rs/composite/stretch.py has the formula."""
    mask: Literal["none", "clouds"] = "none"
    """``clouds``: clouds, cirrus and shadows by the product's own quality band are not styled."""
    masked: Literal["unstyled", "nodata"] = "unstyled"
    """What the map shows where `mask` says: the scene as it is, or nothing."""

    @field_validator("limits")
    @classmethod
    def _rising(cls, value: tuple[Pair, ...] | Path | None) -> tuple[Pair, ...] | Path | None:
        if isinstance(value, tuple) and not all(low < high for low, high in value):
            raise ValueError("three pairs of rising numbers")
        return value

    @field_validator("percentiles")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if not 0 <= low < high <= 100:
            raise ValueError("two rising numbers from 0 to 100")
        return value


class StyleSection(Section):
    """The images whose style is taken, blended where they are several."""

    images: dict[Path, Weight] = {}
    """Image → weight, of which only the ratios count. May be written as one path, or as a list, each weighing 1."""
    size: int = Field(512, ge=SMALLEST_STYLE, le=LARGEST_STYLE)
    """Longer side in pixels to which the style is scaled: strokes grow with it."""
    stroke: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Size of a stroke in metres on the ground, taken as 1/32 of the style's longer side. Where it is set it decides
    `size` and ``schedule.levels``, so that scenes of any resolution get strokes of one size: nst_rs/style/stroke.py."""
    strength: float = Field(1.0, ge=0, le=1)
    """Of a learned style: 0 leaves the scene as it is, 1 is the style as it was learned, between them is a blend."""
    learned: Path | None = None
    """A learned style to start from, with ``schedule.init: learned``."""
    color: Color = "style"
    """Whose colours the map has: ``style``; ``scene``: its luminance alone is styled; ``histogram``: the style's, given
    the scene's mean and covariance first. nst_rs/style/color.py has the formulas."""

    @field_validator("images", mode="before")
    @classmethod
    def _weighted(cls, value: Any) -> Any:
        paths = [value] if isinstance(value, str | Path) else value
        if isinstance(paths, list | tuple) and all(isinstance(path, str | Path) for path in paths):
            return Counter(map(Path, paths))
        if not isinstance(value, dict):
            raise ValueError("a path, a list of paths, or paths with weights")
        return value

    @property
    def shares(self) -> dict[Path, float]:
        """Image → its share of the style; they add up to one. At least one image must weigh something."""
        return {path: weight / sum(self.images.values()) for path, weight in self.images.items()}


class ModelSection(Section):
    """The network."""

    weights: str = "packaged"
    """``packaged``, ``imagenet`` (Keras' own download), or the path of a Keras weights file."""
    pooling: Literal["max", "average"] = "max"


class ObjectiveSection(Section):
    """What is minimised: nst_rs/objective/losses.py has the formulas."""

    alpha: Weight | tuple[Weight, ...] = 0.2
    """One number, or one a level from coarse to fine."""
    beta: Weight = 1.0
    variation: Weight = 0.0
    """Of the total variation: the mean squared step from a pixel to the next, in pixel values of 255 squared."""
    content_normalization: Literal["mean", "sum"] = "mean"
    """``sum`` is the paper's formula; ``mean`` divides by positions and channels, so that α holds at any size."""
    content_layers: LayerWeights = CONTENT_LAYERS
    style_layers: LayerWeights = STYLE_LAYERS

    @field_validator("content_layers", "style_layers")
    @classmethod
    def _known(cls, value: LayerWeights) -> LayerWeights:
        unknown = [name for name in value if name not in VGG16]
        if unknown:
            raise ValueError(f"layers of {', '.join(VGG16)}, not {', '.join(unknown)}")
        return {name: value[name] for name in VGG16 if name in value}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.content_layers and not self.style_layers:
            raise ValueError("at least one content or style layer")
        return self


class ScheduleSection(Section):
    """How the picture is found."""

    levels: int = Field(3, ge=1, le=MOST_LEVELS)
    """Levels of the pyramid, each half the next one's size; the coarsest decides how large strokes are."""
    iterations: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Steps at every level, or one number a level from coarse to fine; none: 30 at the finest, 60, then 100."""
    step_size: float = Field(5.0, gt=0, le=255)
    """Adam's first step at each level, in pixel values of 255."""
    last_step: float = Field(1.0, gt=0, le=1)
    """The last step of a level as a share of the first; between them steps shorten evenly."""
    tolerance: float = Field(0.0, ge=0, lt=1)
    """A level ends early when its loss falls by less than this share an iteration, over ten of them."""
    averaged: float = Field(0.0, ge=0, le=1)
    """The share of a level's last iterations whose mean picture is the level's result; 0: the last one is."""
    init: Literal["content", "noise", "learned"] = "content"
    """What the coarsest level starts from: the scene, noise, or what ``style.learned`` makes of the scene."""
    seed: int = Field(0, ge=0)

    @property
    def level_iterations(self) -> tuple[int, ...]:
        """One number a level, from coarse to fine."""
        if self.iterations is None:
            return tuple(_ITERATIONS[min(depth, len(_ITERATIONS) - 1)] for depth in reversed(range(self.levels)))
        return self.iterations if isinstance(self.iterations, tuple) else (self.iterations,) * self.levels


class TilingSection(Section):
    """How the scene is cut; the objective and its gradient do not depend on it."""

    tile: Annotated[int, Field(ge=64)] | Literal["auto"] = "auto"
    """Core size in pixels; ``auto``: whichever computes the fewest pixels within the device's memory."""
    statistics: Literal["auto", "exact", "predicted"] = "auto"
    """How the scene's Gram matrices are had: ``exact`` measures all tiles in every iteration before any is changed;
    ``predicted`` goes forward and back in one tile after the other, at the moments the scene should have by then.
    ``auto`` is exact where all tiles' activations fit in memory, so that it costs no more, and predicted elsewhere."""
    tiles_at_once: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """At predicted statistics, how many tiles go forward before they go back: the more, the better is the prediction;
    all of them keep their activations meanwhile. ``auto``: as many as there is memory for."""
    steps_per_round: int = Field(1, ge=1, le=100)
    """Steps that a tile takes at predicted moments before the tiles meet again: less to read and write, more seams."""

    @model_validator(mode="after")
    def _exact_meets_every_step(self) -> Self:
        if self.statistics == "exact" and self.steps_per_round > 1:
            raise ValueError("steps_per_round: 1 with exact statistics; more need statistics: predicted")
        return self


class ComputeSection(Section):
    """Where and how exactly is computed."""

    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of weights and activations; ``auto`` measures which is faster. Gram matrices, losses, pixels are float32."""
    memory: ByteSize | Literal["auto"] = "auto"
    """Bytes the run may take, or ``4GB`` and the like; ``auto``: half of what is free. A scene that does not fit is
    kept on disk, beside the map. On a cluster: of this process, and of every worker."""
    executor: Literal["local", "dask"] = "local"
    """``local``: this process computes one tile after the other. ``dask``: the workers of a cluster share them."""
    address: str | None = None
    """Of a Dask scheduler, such as ``tcp://host:8786``, whose workers reach the output's folder under the same path;
    none: workers are started on this machine for the run."""
    workers: int | None = Field(None, ge=1)
    """How many workers are started, or are at `address`: ``tiling.tile: auto`` cuts for as many. None: one a core of
    this machine, one on a GPU."""

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu:\d+", value):
            raise ValueError("auto, cpu or gpu:N")
        return value

    @field_validator("memory", mode="wrap")
    @classmethod
    def _an_amount(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> Any:
        try:
            found = parse(value)
        except ValidationError as error:
            raise ValueError("auto, or bytes such as 4GB or 512MB") from error
        if found != "auto" and found <= 0:
            raise ValueError("auto, or more than 0 bytes")
        return found

    @model_validator(mode="after")
    def _cluster_only_with_dask(self) -> Self:
        if self.executor == "local" and (self.address or self.workers):
            raise ValueError("address and workers with executor: dask only")
        return self


class LearnSection(Section):
    """How a style is learned, for ``nst-rs learn``; the objective is the sections' above."""

    minutes: float = Field(15.0, gt=0, allow_inf_nan=False)
    """How long to learn; reading before and judging afterwards are not counted."""
    steps: int | None = Field(None, ge=1)
    """An earlier end, after as many steps; none: the minutes alone decide."""
    normalised: float = Field(0.6, gt=0, le=1)
    """The share of this after which the statistics that speed up learning are frozen; from a `start` they are."""
    window: int = Field(192, ge=64, le=1024, multiple_of=16)
    """Side in pixels of the windows that are judged, each by statistics of its own."""
    batch: int = Field(2, ge=1, le=64)
    """Windows a step."""
    rate: float = Field(4e-3, gt=0, le=1)
    """Adam's first step for a weight; it falls to nothing towards the end, along a cosine."""
    widths: tuple[Channels, Channels, Channels] = (16, 32, 64)
    """The network's channels at full, half and quarter resolution."""
    blocks: int = Field(5, ge=1, le=32)
    """Its residual blocks."""
    start: Path | None = None
    """A learned style to begin from, whose network knows scenes already; none: from nothing."""
    seed: int = Field(0, ge=0)
    held_out: tuple[str, ...] = ()
    """Scenes to judge by and not to learn from; none: windows of the scenes given are kept out of learning."""
    held_out_windows: int = Field(2, ge=1, le=64)
    held_out_size: int = Field(512, ge=64, le=2048, multiple_of=16)
    """Side in pixels of the windows to judge by; smaller where the scene is."""
    licence: str = ""
    """What the style may be used for, as its maker says."""


class OutputSection(Section):
    """What is written."""

    path: Path | None = None
    """The map, a GeoTIFF; what else a run writes stands beside it. Of ``nst-rs learn``, the style."""
    profile: Profile = "deflate"
    """How the map's pixels are stored: ``deflate`` and ``lzw`` keep them as they are, ``jpeg`` and ``webp`` do not."""
    tiles: Archive | None = None
    """Web tiles besides, in one file: ``pmtiles`` for pages without a server, ``mbtiles`` for desktop programs."""
    bands: Literal["all"] | Annotated[tuple[Band, ...], Field(min_length=1)] | None = None
    """Bands of the scene to be handed over beside the map, with their own values: numbers from 1 and names, such as
    ``[nir, swir1]``; or ``all``."""


class RunConfig(Section):
    """One run, whole."""

    scene: SceneSection = SceneSection()
    composite: CompositeSection = CompositeSection()
    style: StyleSection = StyleSection()
    model: ModelSection = ModelSection()
    objective: ObjectiveSection = ObjectiveSection()
    schedule: ScheduleSection = ScheduleSection()
    tiling: TilingSection = TilingSection()
    compute: ComputeSection = ComputeSection()
    learn: LearnSection = LearnSection()
    output: OutputSection = OutputSection()

    @property
    def level_alphas(self) -> tuple[float, ...]:
        """α at every level, from coarse to fine."""
        alpha = self.objective.alpha
        return alpha if isinstance(alpha, tuple) else (alpha,) * self.schedule.levels

    @field_validator("compute")
    @classmethod
    def _exact_on_a_cluster(cls, value: ComputeSection, info: ValidationInfo) -> ComputeSection:
        tiling = info.data.get("tiling")
        if value.executor == "dask" and tiling and (tiling.statistics == "predicted" or tiling.steps_per_round > 1):
            raise ValueError("executor: dask with exact statistics only, which meet after every step")
        return value

    @field_validator("schedule")
    @classmethod
    def _one_a_level(cls, value: ScheduleSection, info: ValidationInfo) -> ScheduleSection:
        style, objective = info.data.get("style"), info.data.get("objective")
        if style is not None and value.init == "learned" and style.learned is None:
            raise ValueError("init: learned with style.learned, the style to start from")
        if style is None or objective is None or style.stroke is not None:
            return value  # nst_rs/style/stroke.py checks once it has decided the levels
        for name, given in (("iterations", value.iterations), ("objective.alpha", objective.alpha)):
            if isinstance(given, tuple) and len(given) != value.levels:
                raise ValueError(
                    f"{name}: one number, or one for each of {value.levels} levels, not {len(given)} numbers"
                )
        return value


ELSEWHERE = ("memory", "address", "workers")
"""Keys of ``compute`` that say where a run is computed and not what comes of it: it may go on with others."""


def setting_names() -> list[str]:
    """Return the names of all settings.

    >>> setting_names()[0]
    'scene.paths'
    """
    sections = ((name, field.annotation) for name, field in RunConfig.model_fields.items())
    return [f"{name}.{key}" for name, section in sections for key in getattr(section, "model_fields", {})]


def trunk_of(config: RunConfig) -> Trunk:
    """Return the part of VGG16 that the objective's layers need."""
    return Trunk.reaching([*config.objective.content_layers, *config.objective.style_layers])


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
