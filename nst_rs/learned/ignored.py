"""Settings that change nothing where a learned style makes the map: it took them over when it was learned."""

from nst_rs.config.sections import RunConfig

_SECTIONS = ("model", "objective", "schedule")
_SETTINGS = (
    *("style.scaling", "style.size", "style.stroke", "style.learned"),
    *("tiling.statistics", "tiling.tiles_at_once", "tiling.steps_per_round"),
    "output.every",
)


def ignored_settings(config: RunConfig) -> list[str]:
    """Return the names of settings that a learned style ignores and that have another value than by default.

    >>> ignored_settings(RunConfig.model_validate({"objective": {"alpha": 1}, "tiling": {"tile": 512}}))
    ['objective.alpha']
    """
    defaults = RunConfig()
    return [
        f"{name}.{key}"
        for name, section in config
        for key in type(section).model_fields
        if name in _SECTIONS or f"{name}.{key}" in _SETTINGS
        if getattr(section, key) != getattr(getattr(defaults, name), key)
    ]
