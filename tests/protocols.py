"""Stand-ins are called as what they stand in for: mypy checks nst_rs only, so signatures are compared here."""

import inspect
from typing import Any


def departures(stand_in: type, protocol: type) -> list[str]:
    """Return the protocol's methods that the stand-in lacks, or that cannot be called in the same way."""
    return [
        name
        for name, method in vars(protocol).items()
        if inspect.isfunction(method) and not (name.startswith("_") and name != "__call__")
        if _parameters(getattr(stand_in, name, None)) != _parameters(method)
    ]


def _parameters(method: Any) -> list[tuple[str, Any, Any]] | None:
    """Return the parameters' names, kinds and defaults; None where there is no method."""
    if not callable(method):
        return None
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
