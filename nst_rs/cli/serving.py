"""The maps of one scene that `nst-rs serve` paints: every style with every composite."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from nst_rs.config.loading import override, parse_assignment
from nst_rs.config.sections import RunConfig
from nst_rs.errors import ConfigError, OutputError
from nst_rs.files.quiet import native_notes_hidden

if TYPE_CHECKING:
    from nst_rs.runs.painted.job import LearnedJob
    from nst_rs.view.server import View


_LISTED = "name one of those that `nst-rs styles` lists with --style"


@dataclass(frozen=True)
class Offer:
    """One map that a reader can choose."""

    config: RunConfig
    style: str
    composite: str
    path: str
    """What the addresses of its tiles begin with: nothing where it is the only one, else a part and a slash."""


def offers(config: RunConfig, styles: Sequence[Path], composites: Sequence[str], folder: Path) -> list[Offer]:
    """Return the maps of a configuration's scene in all `styles`, each in all `composites`, or in its own bands.

    What is painted is kept in `folder`. Raises ConfigError, also for two styles of one name.
    """
    if not (styles or config.style.images):
        raise ConfigError("style.images", expected="a learned style", got="none", do=_LISTED)
    chosen = list(product(styles or config.style.images, composites or [""]))
    if len(chosen) == 1:
        return [_offer(config, *chosen[0], folder, "")]
    parts = [
        re.sub(r"[^\w-]+", "_", f"{style.stem} {composite}".strip(), flags=re.ASCII) for style, composite in chosen
    ]
    twice = next((part for part in parts if parts.count(part) > 1), None)
    if twice is not None:
        raise ConfigError("--style and --composite", expected="different names", got=f"{twice} twice")
    return [
        _offer(config, style, composite, folder / part, f"{part}/")
        for (style, composite), part in zip(chosen, parts, strict=True)
    ]


def _offer(config: RunConfig, style: Path, composite: str, folder: Path, path: str) -> Offer:
    settings = {"style.images": [style], "output.path": folder / "map.tif"}
    bands = [parse_assignment(f"composite.bands={composite}")] if composite else []
    return Offer(override(config, {**settings, **dict(bands)}), style.stem, composite or "own bands", path)


@contextmanager
def opened(name: str, offered: Sequence[Offer]) -> Iterator[list["View"]]:
    """Open the maps for viewing, the first of them at once, the others when they are chosen. Raises NstError."""
    jobs = [_job(offer) for offer in offered]
    from nst_rs.runs.painted.on_demand import MapOnDemand
    from nst_rs.view.painted import painted
    from nst_rs.view.server import Choice

    with ExitStack() as stack:
        views = []
        for offer, job in zip(offered, jobs, strict=True):
            stack.enter_context(job.alone())
            map_ = stack.enter_context(MapOnDemand(job))
            choice = Choice(offer.path, offer.style, offer.composite) if offer.path else None
            views.append(stack.enter_context(painted(name, map_, choice)))
        views[0].open()
        yield views


def _job(offer: Offer) -> "LearnedJob":
    """Prepare to paint a map. Raises NstError, also where its style is not learned."""
    with native_notes_hidden():
        from nst_rs.runs.painted.job import LearnedJob
        from nst_rs.runs.prepare import prepare

        if offer.config.output.path is not None:
            make_cache(offer.config.output.path.parent)
        job = prepare(offer.config)
    if not isinstance(job, LearnedJob):
        raise ConfigError(
            "style.images",
            expected="a learned style: no other is painted in parts",
            got="an image",
            do=_LISTED,
        )
    return job


def make_cache(folder: Path) -> None:
    """Make a folder for what is painted, where it is not there. Raises OutputError."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cache {folder}", expected="a folder", got=str(error)) from error
