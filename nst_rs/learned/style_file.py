"""The learned style as a file: its weights, their sources and settings, and their quality.

One safetensors file, which holds arrays and text and nothing that runs. The arrays are the network's parameters, as
``weights/NAME`` in float16, and ``preview``, a PNG's bytes. The metadata are :class:`Facts` as JSON, the format's
version, and a SHA-256 of all arrays.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nst_rs.config.named_styles import SUFFIX
from nst_rs.config.sections import Color
from nst_rs.errors import OutputError, StyleError
from nst_rs.files.replacing import written_at_once
from nst_rs.files.text import counted
from nst_rs.learned.architecture import Architecture, Enlarging, Weights

_FORMAT, _VERSION = "nst_rs learned style", 3
_KNOWN = ("2", str(_VERSION))
"""Versions that are read. In the second, statistics of what was learned from are in the weights."""
_WEIGHTS = "weights/"
_PREVIEW = "preview"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Value):
    """A file that was learned from: which one it was, not where it lay."""

    name: str
    bytes: int | None
    sha256: str | None
    """None, as the size, of what lay on no disk of the machine."""


class Learning(_Value):
    """The length of learning, that of the style it began from included."""

    steps: int
    seconds: float
    loss: float
    """Mean total objective of the windows of the last steps, before each step."""
    start: Source | None = None
    """The style that learning began from."""
    start_steps: int = 0
    """How many of the steps are that style's."""


class HeldOut(_Value):
    """The quality of the style on windows that were held out from learning, beside `stylize` on the same windows.

    Totals are those of the objective at the finest level, by statistics of each window; means over the windows.
    """

    windows: int
    size: tuple[int, ...]
    """Side of each window in pixels."""
    other_scenes: bool
    """Whether the windows are of scenes that were not learned from; else they are places kept out of those that were.
    """
    scene_total: float
    """The total of the scene as it is, which the style is to bring down."""
    learned_total: float
    learned_saturated: float
    """Share of pixels with a channel at 0 or 255."""
    scene_saturated: float
    optimised_total: float | None = None
    """The total that `stylize` comes to; none where learning was interrupted before."""
    optimised_saturated: float | None = None

    @property
    def ratio(self) -> float | None:
        """The learned total over the optimised one."""
        return self.learned_total / self.optimised_total if self.optimised_total else None


class Facts(_Value):
    """All that a learned style says of itself."""

    widths: tuple[int, int, int]
    blocks: int = Field(ge=1, le=32)
    deep_blocks: int = Field(0, ge=0, le=32)
    enlarging: Enlarging = "repeated"
    """As the first networks did, whose files do not say."""
    normalised: bool = False
    """Whether a scene's statistics are to be folded into the weights; else the weights are the network."""
    color: Color
    """The value of ``style.color`` with which it was learned."""
    configuration: dict[str, Any]
    """The sections that decide what was learned, as :class:`nst_rs.config.sections.RunConfig` has them."""
    metres_per_pixel: float
    """The resolution of the first scene learned from, for which the strokes were learned."""
    styles: tuple[Source, ...]
    scenes: tuple[Source, ...]
    learning: Learning
    held_out: HeldOut | None = None
    versions: dict[str, str]
    licence: str = ""

    @property
    def architecture(self) -> Architecture:
        """The network's size."""
        return Architecture(self.widths, self.blocks, self.deep_blocks, self.enlarging)


@dataclass(frozen=True, repr=False)
class LearnedStyle:
    """A learned style."""

    facts: Facts
    weights: Weights
    """Parameter → values, in the precision of float16, as the file holds them."""
    preview: bytes
    """A PNG: what the style makes of the windows held out."""

    def __repr__(self) -> str:
        """Return what it was learned from, in one line."""
        styles, scenes = (", ".join(source.name for source in part) for part in (self.facts.styles, self.facts.scenes))
        learning = self.facts.learning
        return f"LearnedStyle({styles}, on {scenes}: {counted(learning.steps, 'step')}, loss {learning.loss:.4g})"

    @property
    def sha256(self) -> str:
        """A digest of the weights, by which statistics are known to be this network's."""
        return _digest(_tensors(self.weights))

    def save(self, path: Path) -> None:
        """Write the file, at once. Raises OutputError."""
        tensors = _tensors(self.weights)
        tensors[_PREVIEW] = np.frombuffer(self.preview, np.uint8)
        metadata = {
            "format": _FORMAT,
            "version": str(_VERSION),
            "facts": self.facts.model_dump_json(),
            "sha256": _digest(tensors),
        }
        with written_at_once(path) as temporary:
            temporary.write_bytes(save(tensors, metadata))


def write_preview(style: LearnedStyle, path: Path) -> Path:
    """Write the picture that a style carries, a PNG, at once; make its folder. Return `path`. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"output folder {path.parent}", expected="a folder to write to", got=str(error)) from error
    with written_at_once(path) as temporary:
        temporary.write_bytes(style.preview)
    return path


def _tensors(weights: Weights) -> dict[str, npt.NDArray[Any]]:
    """Return weights under the names and in the precision that the file has."""
    return {_WEIGHTS + name: value.astype(np.float16) for name, value in weights.items()}


def rounded(weights: Weights) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights as a file will hold them."""
    return {name: value.astype(np.float16).astype(np.float32) for name, value in weights.items()}


def is_learned(path: Path) -> bool:
    """Whether a style is a learned one, by its name.

    >>> is_learned(Path("harvest.style")), is_learned(Path("harvest.jpg"))
    (True, False)
    """
    return path.suffix.lower() == SUFFIX


def read_learned(path: Path) -> LearnedStyle:
    """Read a learned style. Raises StyleError for a file that is missing, damaged, foreign or of a newer version."""
    if not path.is_file():
        raise StyleError(f"style {path}", expected="a learned style", got="no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise _refused(path, str(error)) from error
    if _digest(tensors) != metadata.get("sha256"):
        raise _refused(path, "other arrays than were written: it is damaged")
    try:
        facts = Facts.model_validate_json(metadata.get("facts", ""))
    except ValidationError as error:
        raise _refused(path, f"unknown facts: {error.errors()[0]['msg']}") from error
    weights = {
        name.removeprefix(_WEIGHTS): value.astype(np.float32)
        for name, value in tensors.items()
        if name.startswith(_WEIGHTS)
    }
    _check_weights(path, facts, weights)
    return LearnedStyle(facts, weights, tensors[_PREVIEW].tobytes() if _PREVIEW in tensors else b"")


def _check_format(path: Path, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != _FORMAT:
        raise _refused(path, "a safetensors file of something else")
    version = metadata.get("version", "")
    if version not in _KNOWN:
        raise StyleError(
            f"style {path}",
            expected=f"version {' or '.join(_KNOWN)} of the format",
            got=f"version {version}",
            do="install the version of nst-rs that made it, or learn the style again",
        )


def _check_weights(path: Path, facts: Facts, weights: Weights) -> None:
    shapes = {name: value.shape for name, value in weights.items()}
    if shapes != facts.architecture.shapes or not all(np.isfinite(value).all() for value in weights.values()):
        raise _refused(path, "weights of another network")


def _refused(path: Path, got: str) -> StyleError:
    return StyleError(f"style {path}", expected="a learned style, as nst-rs learn writes it", got=got)


def _digest(tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return digest.hexdigest()
