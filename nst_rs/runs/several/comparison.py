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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nst_rs.arrays import Rgb
from nst_rs.composite.recompose import compose_anew
from nst_rs.config.sections import RunConfig
from nst_rs.files.storage import DiskStorage
from nst_rs.learned.style_file import is_learned, read_learned
from nst_rs.objective.terms.base import Term, Value
from nst_rs.objective.terms.registry import chosen_terms
from nst_rs.output.files import Outputs
from nst_rs.output.pictures.preview import preview
from nst_rs.style.images import read_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4
_CELL_INCHES = 2.6
_PANEL_INCHES = 14 / 3
_DOTS_PER_INCH = 90
_LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Run:
    """A finished run, as its record describes it."""

    name: str
    outputs: Outputs

    @cached_property
    def record(self) -> dict[str, Any]:
        """The run's record."""
        record: dict[str, Any] = json.loads(self.outputs.record.read_text(encoding="utf-8"))
        return record

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, with every choice made."""
        return RunConfig.model_validate(self.record["configuration"])

    @property
    def epochs(self) -> int:
        """Iterations at all levels together."""
        return sum(level["iterations"] for level in self.record["levels"])

    @property
    def is_learned(self) -> bool:
        """Whether a learned style painted the map. Such a run has no objective."""
        return not self.record["levels"]

    @property
    def label(self) -> str:
        """The run in two lines: its name, and the settings in which the runs of one experiment usually differ."""
        if self.is_learned:
            return f"{self.name}\nlearned, strength {self.config.style.strength:g}"
        objective = self.config.objective
        weights = [f"α {_joined(objective.alpha)}", f"β {objective.beta:g}", *map(_weighed, self._further_terms)]
        return f"{self.name}\n{', '.join(weights)}, {self.epochs} epochs"

    @property
    def total(self) -> float | None:
        """The objective at the finest level's last iteration; None of a learned style."""
        return None if self.is_learned else float(self._losses(-1)["total"][-1])

    @cached_property
    def terms(self) -> Mapping[str, Term]:
        """Name → term, of all terms whose values the record holds, in the order in which they are added up."""
        if self.is_learned:
            return {}
        recorded = self._losses(-1)
        return {term.name: term for term in chosen_terms(self.config.objective) if term.name in recorded}

    def weight(self, name: str) -> float | None:
        """Return a term's weight at the finest level; None where the run had no such term."""
        return self.terms[name].weight if name in self.terms else None

    def distance(self, name: str) -> float | None:
        """Return Σ_l c_l L_content(l), or Σ_l w_l E_l, or another term's value: without α, β or the term's weight.

        Content and style are always there; None stands for a further term that the run did not have.
        """
        if name not in self.terms:
            return None
        values = self._losses(-1)[name]
        last: Value = {layer: each[-1] for layer, each in values.items()} if isinstance(values, dict) else values[-1]
        return self.terms[name].distance(last)

    def curves(self, name: str) -> dict[str, list[float]]:
        """Return layer → the term's weighted value in every round, level after level; one curve where it has no layers.

        The run must have the term.
        """
        weights = self.terms[name].layer_weights
        levels = [self._losses(index)[name] for index in range(len(self.record["levels"]))]
        if not weights:
            return {self.terms[name].label: [value for level in levels for value in level]}
        return {
            layer: [weight * value for level in levels for value in level[layer]] for layer, weight in weights.items()
        }

    def _losses(self, level: int) -> dict[str, Any]:
        losses: dict[str, Any] = self.record["levels"][level]["losses"]
        return losses

    @property
    def _further_terms(self) -> list[Term]:
        """The terms besides content and style, whose weights are α and β."""
        return [term for term in self.terms.values() if not term.always]

    @cached_property
    def yardstick(self) -> str:
        """Everything but the pictures, the first and the last, that the distances depend on.

        Two runs compare only where theirs are equal.
        """
        config = self.config.model_dump(mode="json", include={"composite", "style", "model", "objective"})
        # The images themselves are among the inputs, which are compared by their contents.
        config["style"]["images"] = list(self.config.style.shares.values())
        config["style"]["regions"] = [region.without_places(lambda _: "") for region in self.config.style.regions]
        del config["style"]["stroke"]  # it is in the size
        for weight in ("alpha", "beta", "variation", "agreement", "terms"):
            del config["objective"][weight]
        earlier = set(map(str, self.config.earlier))
        inputs = [entry["sha256"] for entry in self.record["inputs"] if entry["path"] not in earlier]
        del config["style"]["agree"]
        return json.dumps([config, inputs, self.record["scene"]["shape"]], sort_keys=True)


def write_comparison(runs: Sequence[Run], folder: Path) -> tuple[Path, Path, Path]:
    """Write ``sheet.png``, ``losses.png`` and ``table.csv`` of `runs` into `folder`; return their paths."""
    sheet, losses, table = (folder / name for name in ("sheet.png", "losses.png", "table.csv"))
    _write(sheet, lambda path: _contact_sheet(runs, folder).savefig(path, format="png", dpi=_DOTS_PER_INCH))
    _write(losses, lambda path: _loss_curves(runs).savefig(path, format="png", dpi=_DOTS_PER_INCH))
    _write(table, lambda path: path.write_text(_as_csv(rows(runs)), encoding="utf-8"))
    return sheet, losses, table


def rows(runs: Sequence[Run]) -> list[dict[str, str]]:
    """Return one row per run: weights, epochs, distances, and their change from the run before where they compare."""
    terms = all_terms(runs)
    return [_row(run, before, terms) for run, before in zip(runs, [None, *runs[:-1]], strict=True)]


def all_terms(runs: Sequence[Run]) -> list[Term]:
    """Return the terms that any of the runs has, each once, those that all runs have first."""
    every = {name: term for run in runs for name, term in run.terms.items()}
    return sorted(every.values(), key=lambda term: not term.always)


def _row(run: Run, before: Run | None, terms: Sequence[Term]) -> dict[str, str]:
    objective = run.config.objective
    alpha, beta = ("", "") if run.is_learned else (_joined(objective.alpha), f"{objective.beta:g}")
    row = {"run": run.name, "alpha": alpha, "beta": beta}
    row |= {f"{term.name} weight": _number(run.weight(term.name)) for term in terms if not term.always}
    row["epochs"] = "" if run.is_learned else str(run.epochs)
    for term in terms:
        row[term.name] = _number(run.distance(term.name))
        row[f"{term.name} change"] = "" if before is None else _change(before, run, term.name)
    return {**row, "total": _number(run.total)}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _weighed(term: Term) -> str:
    return f"{term.label} {term.weight:g}"


def _joined(alpha: float | tuple[float, ...]) -> str:
    return ", ".join(f"{each:g}" for each in (alpha if isinstance(alpha, tuple) else (alpha,)))


def _change(run_before: Run, run: Run, name: str) -> str:
    """Say how a term's distance has changed from one run to the next, where the two can be compared."""
    before, after = run_before.distance(name), run.distance(name)
    if not before or after is None or run_before.yardstick != run.yardstick:
        return ""
    return f"{after / before - 1:+.1%}" if after < 10 * before else f"× {after / before:.4g}"


def _as_csv(table: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def _contact_sheet(runs: Sequence[Run], folder: Path) -> "Figure":
    """Draw every scene composite and style that the runs used, and what every run made."""
    from matplotlib.figure import Figure

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
    styles = {path: run.config.style.size for run in runs for path in run.config.style.all_images}
    contents = [("content", _composite(config, folder)) for config in scenes.values()]
    return [*contents, *((f"style: {path.stem}", _style(path, size)) for path, size in styles.items())]


def _composite(config: RunConfig, folder: Path) -> Rgb:
    """Return the composite as small as a preview; `folder` holds it whole for the time it takes."""
    with tempfile.TemporaryDirectory(prefix=".scene.", dir=folder) as temporary:
        image, weight, _ = compose_anew(config, DiskStorage(Path(temporary)))
        return np.asarray(preview(image, weight).convert("RGB"))


def _style(path: Path, size: int) -> Rgb:
    """Return a style picture, or the picture that a learned style carries."""
    if is_learned(path):
        return np.asarray(Image.open(io.BytesIO(read_learned(path).preview)).convert("RGB"))
    return np.rint(read_style(path, size).image).astype(np.uint8)


def _read(path: Path) -> Rgb:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _loss_curves(runs: Sequence[Run]) -> "Figure":
    """Draw the total and every term, a panel each: a colour for each run, a kind of line for each layer."""
    from matplotlib.figure import Figure

    terms = all_terms(runs)
    figure = Figure(figsize=((len(terms) + 1) * _PANEL_INCHES, 5), layout="constrained")
    total, *panels = figure.subplots(1, len(terms) + 1, squeeze=False)[0]
    for number, run in enumerate(runs):
        history = [value for level in run.record["levels"] for value in level["losses"]["total"]]
        if history:
            total.plot(history, color=f"C{number}", label=run.name)
    if total.lines:
        total.legend(fontsize=8)
    _label(total, "total, all weights included")
    for axes, term in zip(panels, terms, strict=True):
        _draw_term(axes, runs, term)
        _label(axes, f"{term.label} by layer, weighted" if term.layer_weights else term.label)
    return figure


def _draw_term(axes: "Axes", runs: Sequence[Run], term: Term) -> None:
    named: set[str] = set()
    for number, run in enumerate(runs):
        curves = run.curves(term.name) if term.name in run.terms else {}
        for (layer, values), line in zip(curves.items(), itertools.cycle(_LINES), strict=False):
            # A layer's line is named once: the colours say which run.
            axes.plot(values, color=f"C{number}", linestyle=line, label=None if layer in named else layer)
            named.add(layer)
    if named:
        axes.legend(fontsize=8)


def _label(axes: "Axes", title: str) -> None:
    axes.set(title=title, xlabel="steps taken")
    axes.set_yscale("log", nonpositive="mask")


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    temporary = path.with_name(f".{path.name}")
    write(temporary)
    os.replace(temporary, path)
