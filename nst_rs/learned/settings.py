"""Settings of a run that mean nothing where a learned style paints: they were decided when the style was learned."""

import logging

from nst_rs.config.sections import RunConfig

log = logging.getLogger(__name__)

_DECIDED = ("model", "objective", "schedule", "learn")
"""Sections that say how a picture is optimised, or a style learned."""
_DECIDED_KEYS = ("style.size", "style.stroke", "style.learned")
_EXACT_KEYS = ("tiling.statistics", "tiling.tiles_at_once", "tiling.steps_per_round")
"""Tiles of a learned style have no statistics in common."""


def ignored_settings(config: RunConfig) -> tuple[str, ...]:
    """Return the names of settings that were changed from their defaults and that no learned style heeds.

    What was given its default's value explicitly is left out: it changes nothing.

    >>> ignored_settings(RunConfig.model_validate({"style": {"stroke": 90, "strength": 0.5}}))
    ('style.stroke',)
    """
    sections = config.model_dump(exclude_defaults=True)
    changed = (f"{section}.{key}" for section, keys in sections.items() for key in keys)
    return tuple(name for name in changed if _is_ignored(name))


def warn_of_ignored(config: RunConfig) -> None:
    """Warn of the :func:`ignored_settings` of a run with a learned style, in one line."""
    names = ignored_settings(config)
    if names:
        log.warning(
            "a learned style does not heed %s; to have it otherwise, learn another style, or style with an image",
            ", ".join(names),
        )


def _is_ignored(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in _DECIDED or name in (*_DECIDED_KEYS, *_EXACT_KEYS)
