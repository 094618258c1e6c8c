"""Finished runs side by side: a contact sheet, the loss curves, and a table of distances."""

import csv
import io
import itertools
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from nst_rs.arrays import Rgb
from nst_rs.composite.recompose import compose_anew
from nst_rs.config.sections import RunConfig
from nst_rs.files.storage import DiskStorage
from nst_rs.output.files import Outputs
from nst_rs.output.preview import preview
from nst_rs.style.images import read_style

Term = Literal["content", "style"]

_COLUMNS = 4
_CELL_INCHES = 2.6
_DOTS_PER_INCH = 90
_LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Run:
    """A finished run, as its record tells it."""

    name: str
    outputs: Outputs

    @cached_property
    def record(self) -> dict[str, Any]:
        """The run's record."""
        found: dict[str, Any] = json.loads(self.outputs.record.read_text(encoding="utf-8"))
        return found

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, with every choice made."""
        return RunConfig.model_validate(self.record["configuration"])

    @property
    def epochs(self) -> int:
        """Iterations at all levels together."""
        return sum(level["iterations"] for level in self.record["levels"])

    @property
    def label(self) -> str:
        """The run in two lines: its name, and what the runs of one experiment usually differ in."""
        objective = self.config.objective
        return f"{self.name}\nα {_joined(objective.alpha)}, β {objective.beta:g}, {self.epochs} epochs"

    @property
    def total(self) -> float:
        """The objective at the finest level's last iteration."""
        return float(self.record["levels"][-1]["losses"]["total"][-1])

    def distance(self, term: Term) -> float:
        """Return Σ_l c_l L_content(l), or Σ_l w_l E_l: how far the picture is from that image, without α and β."""
        weights = self._weights(term)
        losses = self.record["levels"][-1]["losses"][term]
        return float(sum(weights[name] * losses[name][-1] for name in weights))

    def curve(self, term: Term, layer: str) -> list[float]:
        """Return a layer's weighted term at every iteration, level after level."""
        weight = self._weights(term)[layer]
        return [weight * value for level in self.record["levels"] for value in level["losses"][term][layer]]

    def _weights(self, term: Term) -> Mapping[str, float]:
        objective = self.config.objective
        return objective.content_layers if term == "content" else objective.style_layers

    @cached_property
    def yardstick(self) -> str:
        """What the distances depend on besides the picture: only where two runs' are equal can they be compared."""
        config = self.config.model_dump(mode="json", include={"composite", "style", "model", "objective"})
        # The images themselves are among the inputs, which are compared by what they hold.
        config["style"]["images"] = list(self.config.style.shares.values())
        del config["style"]["stroke"]  # it is in the size
        del config["objective"]["alpha"], config["objective"]["beta"]
        inputs = [entry["sha256"] for entry in self.record["inputs"]]
        return json.dumps([config, inputs, self.record["levels"][-1]["shape"]], sort_keys=True)


def write_comparison(runs: Sequence[Run], folder: Path) -> tuple[Path, Path, Path]:
    """Write ``sheet.png``, ``losses.png`` and ``table.csv`` of `runs` into `folder`; return their paths."""
    sheet, losses, table = (folder / name for name in ("sheet.png", "losses.png", "table.csv"))
    _write(sheet, lambda path: _contact_sheet(runs, folder).savefig(path, format="png", dpi=_DOTS_PER_INCH))
    _write(losses, lambda path: _loss_curves(runs).savefig(path, format="png", dpi=_DOTS_PER_INCH))
    _write(table, lambda path: path.write_text(_as_csv(rows(runs)), encoding="utf-8"))
    return sheet, losses, table


def rows(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return one row a run: weights, epochs, distances, and their change from the run before where they compare."""
    changes = [("", ""), *(_changes(before, run) for before, run in pairwise(runs))]
    return [
        {
            "run": run.name,
            "alpha": _joined(run.config.objective.alpha),
            "beta": f"{run.config.objective.beta:g}",
            "epochs": str(run.epochs),
            "content": f"{run.distance('content'):.4g}",
            "content change": content,
            "style": f"{run.distance('style'):.4g}",
            "style change": style,
            "total": f"{run.total:.4g}",
        }
        for run, (content, style) in zip(runs, changes, strict=True)
    ]


def _joined(alpha: float | tuple[float, ...]) -> str:
    return ", ".join(f"{each:g}" for each in (alpha if isinstance(alpha, tuple) else (alpha,)))


def _changes(before: Run, run: Run) -> tuple[str, str]:
    if before.yardstick != run.yardstick:
        return "", ""
    content, style = (_change(before.distance(term), run.distance(term)) for term in ("content", "style"))
    return content, style


def _change(before: float, after: float) -> str:
    if not before:
        return ""
    return f"{after / before - 1:+.1%}" if after < 10 * before else f"× {after / before:.4g}"


def _as_csv(table: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _contact_sheet(runs: Sequence[Run], folder: Path) -> Figure:
    """Draw every scene composite and style that the runs used, and what every run made."""
    pictures = [*sources(runs, folder), *((run.label, _read(run.outputs.preview)) for run in runs)]
    height = math.ceil(len(pictures) / _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _CELL_INCHES, height * _CELL_INCHES * 1.2), layout="constrained")
    for axes, (label, picture) in zip(figure.subplots(height, _COLUMNS, squeeze=False).flat, pictures, strict=False):
        axes.imshow(picture)
        axes.set_title(label, fontsize=8)
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def sources(runs: Sequence[Run], folder: Path) -> list[tuple[str, Rgb]]:
    """Return the scenes' composites and the styles that the runs used, each once."""
    scenes = {run.config.model_dump_json(include={"scene", "composite"}): run.config for run in runs}
    styles = {path: run.config.style.size for run in runs for path in run.config.style.images}
    contents = [("content", _composite(config, folder)) for config in scenes.values()]
    return [*contents, *((f"style: {path.stem}", _style(path, size)) for path, size in styles.items())]


def _composite(config: RunConfig, folder: Path) -> Rgb:
    """Return the composite as small as a preview; `folder` holds it whole for the time it takes."""
    with tempfile.TemporaryDirectory(prefix=".scene.", dir=folder) as temporary:
        image, weight, _ = compose_anew(config, DiskStorage(Path(temporary)))
        return np.asarray(preview(image, weight).convert("RGB"))


def _style(path: Path, size: int) -> Rgb:
    return np.rint(read_style(path, size).image).astype(np.uint8)


def _read(path: Path) -> Rgb:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _loss_curves(runs: Sequence[Run]) -> Figure:
    """Draw the total, every content layer's and every style layer's term: a colour a run, a kind of line a layer."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    total, content, style = figure.subplots(1, 3)
    for number, run in enumerate(runs):
        colour = f"C{number}"
        history = [value for level in run.record["levels"] for value in level["losses"]["total"]]
        total.plot(history, color=colour, label=run.name)
        _draw_layers(content, run, "content", colour)
        _draw_layers(style, run, "style", colour)
    total.legend(fontsize=8)
    titles = ("total, α and β included", "content by layer, weighted", "style by layer, weighted")
    for axes, title in zip((total, content, style), titles, strict=True):
        axes.set(title=title, xlabel="steps taken")
        axes.set_yscale("log", nonpositive="mask")
    return figure


def _draw_layers(axes: Axes, run: Run, term: Term, colour: str) -> None:
    layers = run.record["levels"][-1]["losses"][term]
    for layer, line in zip(layers, itertools.cycle(_LINES), strict=False):
        # The first run names the lines; its colour says no more than the others'.
        axes.plot(run.curve(term, layer), color=colour, linestyle=line, label=layer if colour == "C0" else None)
    if layers:
        axes.legend(fontsize=8)


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    temporary = path.with_name(f".{path.name}")
    write(temporary)
    os.replace(temporary, path)
