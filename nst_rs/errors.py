"""Every error this program raises on purpose, as one tree.

A user's mistake becomes one line: what is wrong, what was expected, what was got, what to do. The command line
prints that line and exits with :attr:`NstError.exit_code`; from Python the same line is ``str(error)``.
"""


class NstError(Exception):
    """The root: catch this to catch all that nst_rs raises on purpose."""

    exit_code = 2

    def __init__(self, what: str, *, expected: str = "", got: str = "", do: str = "") -> None:
        """Compose the line from its parts; empty parts are left out."""
        parts = [f"expected {expected}" if expected else "", f"got {got}" if got else ""]
        facts = ", ".join(part for part in parts if part)
        line = ": ".join(part for part in (what, facts) if part)
        text = " ".join(f"{line}; {do}".split()) if do else " ".join(line.split())
        # Names of files may hold bytes that are no UTF-8, which no terminal or log could print.
        super().__init__(text.encode("utf-8", "backslashreplace").decode("utf-8"))


class ConfigError(NstError):
    """A configuration key is unknown, or its value out of range."""


class SceneError(NstError):
    """The scene cannot be read, or its tiles do not belong together."""


class PixelTypeError(SceneError):
    """The pixels of a scene's file are of a type that is not read."""


class StyleError(NstError):
    """The style image cannot be read."""


class ModelError(NstError):
    """The network's weights are missing, damaged or of another network."""


class OutputError(NstError):
    """The output cannot be written where it was asked for."""


class ResourceError(NstError):
    """The machine has too little of something the plan needs, or not the device asked for."""


class LockedError(NstError):
    """Another run is at the same output."""
