"""A map's figures in words, for people."""

from collections.abc import Mapping
from typing import Any


def describe(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures for people, name → value; no seam ratio where there are no seams.

    >>> seams, frame = {"lines": 0, "result": None}, {"result": 1.1, "content": 1.0}
    >>> speckle = {"result": 2.0, "content": 0.5, "style": 3.0}
    >>> figures = {"legibility": {"1": 0.5}, "seams": seams, "frame": frame, "calm": frame, "speckle": speckle}
    >>> for name, value in describe(figures).items():
    ...     print(name, value)
    legibility 0.50 at 1 pixels
    frame ratio 1.10 (scene 1.00)
    calm ratio 1.10 (scene 1.00)
    speckle 2.00 (scene 0.50, style 3.00)
    """
    if not figures:  # they could not be measured
        return {}
    legibility, seams = figures["legibility"], figures["seams"]
    said = {"legibility": ", ".join(f"{_say(value)} at {key}" for key, value in legibility.items()) + " pixels"}
    if seams["result"] is not None:
        ratio = f"{_say(seams['result'])} ± {_say(seams['standard_error'])}"
        said["seam ratio"] = f"{ratio} (scene {_say(seams['content'])})"
    ratios = {f"{name} ratio": figures[name] for name in ("frame", "calm")}
    said |= {name: f"{_say(x['result'])} (scene {_say(x['content'])})" for name, x in ratios.items()}
    speckle = figures.get("speckle")  # records of earlier versions have none
    if speckle is not None:
        beside = f"scene {_say(speckle['content'])}, style {_say(speckle['style'])}"
        said["speckle"] = f"{_say(speckle['result'])} ({beside})"
    borders = figures.get("borders")
    if borders is not None and borders["near"] is not None:
        said["borders"] = f"{borders['near']:.1%} of the other class's colours (inside {_percent(borders['inside'])})"
    return said | _agreement(figures.get("agreement", {}))


def _agreement(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return how a map agrees with earlier ones, for people; nothing for a map that agrees with none."""
    said = {}
    if figures.get("map_change") is not None:
        scene = figures["scene_change"]
        beside = "" if scene is None else f" (scene {scene:.1f})"
        said["change where nothing changed"] = f"{figures['map_change']:.1f} of 255{beside}"
    for seams in figures.get("seams", ()):
        ratios = [f"{_say(each['ratio'])} ± {_say(each['standard_error'])}" for each in seam_ratios(seams)]
        if ratios:
            said[f"seam with {seams['map']}"] = " and ".join(ratios)
    return said


def seam_ratios(seams: Mapping[str, Any]) -> list[Mapping[str, float]]:
    """Return the seam ratios, with their errors, along the borders that a map and an earlier one have."""
    return [each for each in (seams["this_above"], seams["earlier_above"]) if each is not None]


def _say(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
