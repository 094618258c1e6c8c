"""Every error this program raises on purpose, as one tree.

    NstError                what nst_rs raises on purpose
    ├── ConfigError         a configuration
    ├── SceneError          a scene
    │   └── PixelTypeError  the type of its pixels
    ├── StyleError          a style image, or a learned style
    ├── ModelError          the network's weights
    ├── OutputError         what is to be written
    ├── ResourceError       memory, disk, a device, or a package that is not installed
    └── LockedError         another run at the same output

A user's mistake becomes one line: what is wrong, what was expected, what was got, what to do. The command line
prints that line and exits with ``NstError.exit_code``; from Python the same line is ``str(error)``.

>>> raise SceneError("scene a.tif", expected="a CRS", got="none", do="assign one with gdal_edit.py -a_srs")
Traceback (most recent call last):
...
nst_rs.errors.SceneError: scene a.tif: expected a CRS, got none; assign one with gdal_edit.py -a_srs
"""

import re

_NUMBERED = re.compile(r"\[(?:Errno|WinError) -?\d+\]\s*")
"""How the operating system's errors begin in Python: with a number that tells people nothing."""


class NstError(Exception):
    """The root: catch this to catch all that nst_rs raises on purpose.

    Args:
        what: What is wrong: a file, a setting, a device.
        expected: What was expected of it.
        got: What was found instead.
        do: What the user can do about it.

    The numbers of the operating system's errors are left out, wherever they come from.

    >>> str(NstError("style a.jpg", expected="an image", got="no such file"))
    'style a.jpg: expected an image, got no such file'
    >>> str(NstError("map a.tif", got=str(PermissionError(13, "Permission denied", "a.tif"))))
    "map a.tif: got Permission denied: 'a.tif'"
    """

    exit_code = 2

    def __init__(self, what: str, *, expected: str = "", got: str = "", do: str = "") -> None:
        """Compose the line from its parts; empty parts are left out."""
        parts = [f"expected {expected}" if expected else "", f"got {got}" if got else ""]
        facts = ", ".join(part for part in parts if part)
        line = ": ".join(part for part in (what, facts) if part)
        text = " ".join(f"{line}; {do}".split()) if do else " ".join(line.split())
        text = _NUMBERED.sub("", text)
        # Names of files may hold bytes that are no UTF-8, which no terminal or log could print.
        super().__init__(text.encode("utf-8", "backslashreplace").decode("utf-8"))


class ConfigError(NstError):
    """A configuration key is unknown, or its value out of range."""


class SceneError(NstError):
    """The scene cannot be read, or its tiles do not belong together."""


class PixelTypeError(SceneError):
    """The pixels of a scene's file are of a type that is not read."""


class StyleError(NstError):
    """A style image, or a learned style, cannot be read."""


class ModelError(NstError):
    """The network's weights are missing, damaged or of another network."""


class OutputError(NstError):
    """The output cannot be written where it was asked for."""


class ResourceError(NstError):
    """The machine has too little of something the plan needs, or lacks the device or the package asked for."""


class LockedError(NstError):
    """Another run is at the same output."""
