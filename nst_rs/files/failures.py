"""What went wrong when a file was written or read, in words that say what to do."""

import errno

from nst_rs.errors import OutputError

_MOST_CAUSES = 4
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def said_by(error: BaseException) -> str:
    """Return what a library says: of a failed read or write, rasterio has GDAL's words in what caused the error.

    >>> error = OSError("Write failed. See previous exception for details.")
    >>> error.__cause__ = OSError("TIFFAppendToStrip: No space left on device.")
    >>> said_by(error)
    'TIFFAppendToStrip: No space left on device'
    """
    said = [str(error) or type(error).__name__]
    cause = error.__cause__
    while cause is not None and len(said) < _MOST_CAUSES:
        said.append(getattr(cause, "errmsg", str(cause)))
        cause = cause.__cause__
    known = [text for text in said if text and "previous exception" not in text]
    return (": ".join(dict.fromkeys(known)) or said[0]).rstrip(".")


def unwritable(what: str, error: Exception, or_else: str = "") -> OutputError:
    """Return the error of `what` that could not be written; where the disk is full it says what to do, and `or_else`.

    GDAL and SQLite give no number with their errors, and GDAL's words hardly ever tell why a write failed.

    >>> str(unwritable("output map.tif", OSError(errno.ENOSPC, "No space left on device")))
    'output map.tif: expected room and leave to write, got No space left on device; free some space, then try again'
    >>> str(unwritable("output map.tif", PermissionError(errno.EACCES, "Permission denied")))
    'output map.tif: expected room and leave to write, got Permission denied'
    >>> str(unwritable("output map.tif", OSError("IO error writing tag data")))
    'output map.tif: expected room and leave to write, got IO error writing tag data; if the disk is full, free some \
space, then try again'
    """
    number = getattr(error, "errno", None)
    do = ""
    if number in _FULL or number is None:
        if_full = "" if number in _FULL else "if the disk is full, "
        do = "; ".join(filter(None, (f"{if_full}free some space, then try again", or_else)))
    return OutputError(what, expected="room and leave to write", got=said_by(error), do=do)
