"""When a scene was taken, as far as its products' metadata and file names tell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_DAY = timedelta(days=1) - timedelta(seconds=1)


@dataclass(frozen=True)
class Acquisition:
    """The time, in UTC, within which something was taken: a moment, a day, or what lies between several."""

    start: datetime
    end: datetime

    @classmethod
    def told(cls, text: str) -> "Acquisition | None":
        """Return what a time in ISO 8601 means, or a day in it; None where it is neither. Without a zone it is UTC.

        >>> print(Acquisition.told("2013-07-07T10:17:54.8839180Z"))
        2013-07-07T10:17:54.883918+00:00
        >>> print(Acquisition.told("2013-07-07"))
        2013-07-07T00:00:00+00:00 to 2013-07-07T23:59:59+00:00
        """
        try:
            start = datetime.fromisoformat(text)
            start = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
            return cls(start, start + _DAY if re.fullmatch(r"[\d-]+", text) else start)
        except (ValueError, OverflowError):
            return None

    @classmethod
    def named(cls, text: str) -> "Acquisition | None":
        """Return what the digits of a file's name mean: year, month and day, and hours, minutes and seconds if given.

        >>> print(Acquisition.named("20240518_105031"))
        2024-05-18T10:50:31+00:00
        """
        digits = re.sub(r"\D", "", text)
        return cls.told(f"{digits[:8]}T{digits[8:]}" if len(digits) == 14 else digits)

    def __str__(self) -> str:
        """Return the time, or both ends of it."""
        moments = dict.fromkeys((self.start.isoformat(), self.end.isoformat()))
        return " to ".join(moments)


def together(acquisitions: Iterable[Acquisition | None]) -> Acquisition | None:
    """Return the time within which all were taken; None where of one it is not known."""
    known = list(acquisitions)
    times = [one for one in known if one is not None]
    if not times or len(times) < len(known):
        return None
    return Acquisition(min(one.start for one in times), max(one.end for one in times))
