"""The picture side of a run: whose style, by which network, what is minimised and how, how a style is learned."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from nst_rs.config.base import InWords, Section, Weight
from nst_rs.config.paths import LocalPath, Location, PathInWords, StylePath, WeightedStyles
from nst_rs.config.regions import Region, check_classes
from nst_rs.vgg16 import VGG16

LayerWeights = Annotated[dict[str, Weight], InWords("layers of VGG16 with weights")]
Steps = Annotated[int, Field(ge=1)]
Channels = Annotated[int, Field(ge=1, le=512)]
Color = Literal["style", "scene", "histogram"]

_ITERATIONS = (40, 40, 60)
"""Steps by default at the finest level, the next coarser one, and all others."""

SMALLEST_STYLE, LARGEST_STYLE = 64, 4096
"""What ``style.size`` may be."""

_FORMER_NORMALISED = 0.6
"""The default of ``learn.normalised``, the share of learning after which a style's statistics were frozen."""

MOST_LEVELS = 12
"""What ``schedule.levels`` may be at most."""

NamedWeights = Literal["packaged", "imagenet"]
NAMED_WEIGHTS: tuple[str, ...] = get_args(NamedWeights)
"""What ``model.weights`` may be besides a path."""

CONTENT_LAYERS = {"conv4_2": 6e-5}
STYLE_LAYERS = {"conv1_1": 6e-7, "conv2_1": 3e-10, "conv3_1": 1e-10, "conv4_1": 1e-9, "conv5_1": 3e-6}
"""Weights that even out the layers, whose features differ by orders of magnitude: each is a fifth (content: one) over
the layer's loss against a blank picture, for paintings scaled to 512 pixels. They make α and β numbers around one."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


class StyleSection(Section):
    """The images whose style is taken, blended where they are several."""

    images: WeightedStyles = Field({})
    """The images whose style is taken, and their weights, of which only the ratios count; or one learned style, by its
    path or by the name that ``nst-rs styles`` has for it. May be written as one path, or as a list, where each weighs
    1."""
    scaling: Literal["fixed", "level"] = "fixed"
    """How the style images follow the levels. ``fixed``: they have one size at all levels, so that every level draws
    strokes of its own; ``level``: they are halved with the scene, so that a stroke has one size on the ground and gains
    its bristles at the finer levels. That is for images of 1,000 pixels and more, with a ``style.size`` to match."""
    size: int = Field(512, ge=SMALLEST_STYLE, le=LARGEST_STYLE)
    """Longer side in pixels to which the style images are scaled, at the finest level: strokes grow with it."""
    stroke: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Size of a stroke in metres on the ground, taken as 1/32 of the style's longer side. Where it is set it decides
    ``style.size`` and ``schedule.levels``, so that scenes of any resolution get strokes of one size."""
    strength: float = Field(1.0, ge=0, le=1)
    """How much of a learned style is applied: 0 leaves the scene as it is, 1 is the style as it was learned, between
    them is a blend."""
    statistics: LocalPath | None = None
    """An earlier run's record, by whose scene a learned style is normalised in place of this one's: so neighbouring
    scenes, and one at another date, are painted alike."""
    learned: StylePath | None = None
    """A learned style whose picture of the scene the run starts from, with ``schedule.init: learned``; where it is not
    set, the one among those that ``nst-rs styles`` lists that was learned from the same images."""
    agree: Annotated[tuple[LocalPath, ...], BeforeValidator(_as_list)] = ()
    """Maps made by this program before, of the same ground or of its neighbours. Where one covers the scene the picture
    starts from it and is held to it, the less the more the scene has changed there; the first of the list comes first.
    The stretch is theirs, unless ``composite.limits`` is set: docs/agreeing-maps.md."""
    color: Color = "style"
    """Whose colours the map has. ``style``: the style's; ``scene``: the scene's, whose luminance alone is styled;
    ``histogram``: the style's, which is first given the scene's mean and covariance of colours."""
    regions: Annotated[
        tuple[Region, ...], PathInWords("a list of classes, each with name, where, images, legibility")
    ] = ()
    """Classes of ground, such as water and forest, with a style each in place of ``style.images``: docs/land-cover.md.
    They are tried in order, and the last one is all the rest."""

    @field_validator("regions")
    @classmethod
    def _instead_of_images(cls, value: tuple[Region, ...], info: ValidationInfo) -> tuple[Region, ...]:
        check_classes(value)
        if value and info.data.get("images"):
            raise ValueError("no style.images, and no --style, beside classes that have images of their own")
        if value and info.data.get("agree"):
            raise ValueError("no style.agree beside classes of ground: one of the two")
        return value

    @property
    def all_images(self) -> tuple[Path, ...]:
        """The images of the style or, where the ground is divided, of its classes, class by class."""
        return (*self.images, *(path for region in self.regions for path in region.images))

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the style, each once: those that say where classes are, then the images."""
        return tuple(dict.fromkeys([*(path for region in self.regions for path in region.files), *self.all_images]))

    @property
    def shares(self) -> dict[Path, float]:
        """Image → its share of the style; they add up to one. At least one image must weigh something."""
        return {path: weight / sum(self.images.values()) for path, weight in self.images.items()}


class ModelSection(Section):
    """The network whose features are compared."""

    weights: NamedWeights | Annotated[Location, InWords("a path")] = "packaged"
    """The weights of VGG16: the ones ``packaged`` with the program, those of ``imagenet`` (Keras' own download), or a
    Keras weights file."""
    pooling: Literal["max", "average"] = "max"
    """How VGG16 halves its features: by their maximum or by their average."""


class ObjectiveSection(Section):
    """What is minimised: nst_rs/objective/terms has the formulas."""

    alpha: Weight | tuple[Weight, ...] = 0.2
    """Weight of the scene's content: the larger it is, the more legible is the map. One number, or one per level from
    coarse to fine."""
    beta: Weight = 1.0
    """Weight of the style."""
    variation: Weight = 0.0
    """Weight of the total variation, the mean squared step from a pixel to the next in pixel values of 255 squared: it
    calms noise."""
    agreement: Weight = 0.002
    """Weight of the mean squared distance to the maps of ``style.agree``, in pixel values of 255 squared, where the
    scene has not changed. The larger it is, the closer the map stays to them."""
    content_normalization: Literal["mean", "sum"] = "mean"
    """How the content's loss is taken over a layer. ``sum`` is the paper's formula; ``mean`` divides by positions and
    channels, so that ``objective.alpha`` means the same at any size of scene."""
    terms: Annotated[dict[str, Weight], InWords("names of terms with weights")] = Field({})
    """Further terms of the objective by name, and their weights: docs/architecture.md tells how to write one."""
    content_layers: LayerWeights = CONTENT_LAYERS
    """The layers of VGG16 at which the map is compared with the scene, and their weights."""
    style_layers: LayerWeights = STYLE_LAYERS
    """The layers of VGG16 at which the map is compared with the style, and their weights."""

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
    iterations: Steps | tuple[Steps, ...] | None = None
    """Steps at every level, or one number per level from coarse to fine. Where none are set: 40 at the finest level and
    at the next one, 60 at the others."""
    optimizer: Literal["auto", "bfgs", "adam"] = "auto"
    """How a step is found. ``bfgs``: from how the gradient has changed along the last step, for the whole scene at
    once; ``adam``: pixel by pixel. ``auto``: ``bfgs``, but ``adam`` where ``tiling.steps_per_round`` is above one."""
    step_size: float = Field(5.0, gt=0, le=255)
    """A level's first step, in pixel values of 255. Adam moves a pixel by about this much at most. With ``bfgs`` the
    first step moves pixels by 0.7 of it in the root mean square, and no step moves one by more than 8 times as much."""
    last_step: float = Field(1.0, gt=0, le=1)
    """The last step of a level as a share of the first; between them steps shorten evenly. With ``bfgs`` it is the
    bound of the steps that shortens."""
    tolerance: float = Field(0.0, ge=0, lt=1)
    """A level ends early when its loss falls by less than this share an iteration, over ten iterations; 0: never."""
    averaged: float = Field(0.0, ge=0, le=1)
    """The share of a level's last iterations whose mean picture is the level's result; 0: the last picture is."""
    init: Literal["content", "noise", "learned"] | Annotated[LocalPath, InWords("a picture's path")] = "content"
    """What the coarsest level starts from: the scene, noise, what ``style.learned`` makes of the scene, or a picture: a
    georeferenced one, such as an earlier map, or one of the scene's size. Where it has no data the scene stands."""
    seed: int = Field(0, ge=0)
    """The seed of the noise that ``schedule.init: noise`` starts from."""

    @property
    def level_iterations(self) -> tuple[int, ...]:
        """The number of iterations of each level, from coarse to fine."""
        if self.iterations is None:
            return tuple(_ITERATIONS[min(depth, len(_ITERATIONS) - 1)] for depth in reversed(range(self.levels)))
        return self.iterations if isinstance(self.iterations, tuple) else (self.iterations,) * self.levels


class LearnSection(Section):
    """How a style is learned, for ``nst-rs learn``; the objective is the other sections'."""

    minutes: float = Field(15.0, gt=0, allow_inf_nan=False)
    """How long to learn; reading before and judging afterwards are not counted."""
    steps: int | None = Field(None, ge=1)
    """Learning ends after this many steps, if ``learn.minutes`` do not end it before. Where none are set, the minutes
    alone decide."""
    window: int = Field(192, ge=64, le=1024, multiple_of=16)
    """Side in pixels of the windows that are learned from."""
    batch: int = Field(4, ge=1, le=64)
    """Windows per step, all of one scene, which are judged together."""
    rate: float = Field(4e-3, gt=0, le=1)
    """Adam's first step for a weight; it falls to nothing towards the end, along a cosine."""
    widths: tuple[Channels, Channels, Channels] = (16, 32, 64)
    """The network's channels at full, half and quarter resolution."""
    blocks: int = Field(3, ge=1, le=32)
    """The network's residual blocks at a quarter of the resolution."""
    deep_blocks: int = Field(4, ge=0, le=32)
    """The network's residual blocks at an eighth of the resolution, with which it sees farther."""
    start: StylePath | None = None
    """A learned style, or its name, whose network, which knows scenes already, is learned on; its size is taken where
    no other is set. Where none is set, learning starts from nothing."""
    seed: int = Field(0, ge=0)
    """The seed of the network's first weights and of the windows' choice."""
    held_out: tuple[Location, ...] = ()
    """Scenes to judge the style by and not to learn from. Where none are named, windows of the scenes to learn from are
    kept out of learning."""
    held_out_windows: int = Field(2, ge=1, le=64)
    """How many windows the style is judged by; they are spread over the scenes to judge by."""
    held_out_size: int = Field(512, ge=64, le=2048, multiple_of=16)
    """Side in pixels of the windows to judge the style by; smaller where the scene is."""
    licence: str = ""
    """What the style may be used for, as its maker says."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_was(cls, value: Any) -> Any:
        """Leave out a setting that there is no more, at its default: the records of all earlier runs hold it."""
        if not isinstance(value, dict) or "normalised" not in value:
            return value
        if value["normalised"] != _FORMER_NORMALISED:
            raise ValueError("no key normalised: a style is normalised by its scene, in learning and after it")
        return {key: each for key, each in value.items() if key != "normalised"}
