"""Percentiles of more values than fit in memory, exactly: by counting, not by sorting.

Every value has an unsigned key of 16 or 32 bits in the same order. One pass over the values counts the keys' upper 16
bits, which says in which of 65,536 buckets the wanted ranks lie; for float32 a second pass counts the lower 16 bits of
those buckets. Two passes of a radix sort, of which only the counts are kept.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]

_BUCKETS = 1 << 16


class Counter:
    """Counts the values of one band as they come by; then tells their percentiles.

    >>> values = np.array([3, 1, 2, 10], np.uint8)
    >>> counter = Counter(np.uint8)
    >>> counter.add(values)
    >>> counter.percentiles([0, 50, 90], lambda: [values])
    [1.0, 2.5, 7.900000000000001]
    """

    def __init__(self, dtype: npt.DTypeLike) -> None:
        """Count values of `dtype`: integers of at most 16 bits, or float32 without NaN."""
        self._dtype = np.dtype(dtype)
        self._counts: Counts = np.zeros(_BUCKETS, np.int64)

    @property
    def total(self) -> int:
        """The number of values counted so far."""
        return int(self._counts.sum())

    def add(self, values: Values) -> None:
        """Count some of the values."""
        self._counts += np.bincount(self._upper(values), minlength=_BUCKETS)

    def percentiles(self, wanted: Sequence[float], again: Callable[[], Iterable[Values]]) -> list[float]:
        """Return `wanted` percentiles, each from 0 to 100, of all values, as np.percentile does: interpolated linearly.

        `again` returns the values once more; it is called for float32 only.
        """
        # Rank and fraction as in NumPy, which numbers the sorted values from 0.
        places = [(self.total - 1) * (percentile / 100) for percentile in wanted]
        ranks = {min(math.floor(place) + step, self.total - 1) for place in places for step in (0, 1)}
        values = self._values(sorted(ranks), again)
        return [self._interpolated(values, place) for place in places]

    def _interpolated(self, values: Mapping[int, np.generic], place: float) -> float:
        rank = math.floor(place)
        low, high = values[rank], values[min(rank + 1, self.total - 1)]
        fraction, difference = np.float64(place - rank), np.subtract(high, low)
        # From the nearer end, as NumPy does, so that equal numbers come out to the last digit.
        if fraction < 0.5:
            return float(low + difference * fraction)
        return float(high - difference * (1 - fraction))

    def _values(self, ranks: Sequence[int], again: Callable[[], Iterable[Values]]) -> dict[int, np.generic]:
        """Return rank → value."""
        below = np.cumsum(self._counts)
        buckets = {rank: int(np.searchsorted(below, rank, side="right")) for rank in ranks}
        if self._dtype.kind != "f":
            lowest = np.iinfo(self._dtype).min
            return {rank: np.float32(bucket + lowest) for rank, bucket in buckets.items()}
        lower = self._count_lower(set(buckets.values()), again())
        keys = {}
        for rank, bucket in buckets.items():
            rank_in_bucket = rank - int(below[bucket] - self._counts[bucket])
            keys[rank] = (bucket << 16) + int(np.searchsorted(np.cumsum(lower[bucket]), rank_in_bucket, side="right"))
        return {rank: _float32(key) for rank, key in keys.items()}

    def _count_lower(self, buckets: Iterable[int], parts: Iterable[Values]) -> dict[int, Counts]:
        """Return bucket → counts of the lower 16 bits of the keys in it."""
        counts = {bucket: np.zeros(_BUCKETS, np.int64) for bucket in buckets}
        for values in parts:
            keys = _float_keys(values)
            for bucket in counts:
                counts[bucket] += np.bincount(keys[keys >> 16 == bucket] & 0xFFFF, minlength=_BUCKETS)
        return counts

    def _upper(self, values: Values) -> Values:
        """Return the upper 16 bits of the keys. The keys of an integer type have no others."""
        if self._dtype.kind == "f":
            return _float_keys(values) >> 16
        return values.astype(np.int32) - np.iinfo(self._dtype).min


def _float_keys(values: Values) -> npt.NDArray[np.uint32]:
    """Return uint32 in the order of float32 `values`: the sign bit turned, of negative numbers every bit."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    # -1 shifted or 0 shifted: all bits of a negative number, the sign bit of another.
    flips = (bits.view(np.int32) >> 31).view(np.uint32) | np.uint32(1 << 31)
    return bits ^ flips


def _float32(key: int) -> np.float32:
    bits = key ^ (1 << 31) if key >> 31 else key ^ 0xFFFFFFFF
    return np.uint32(bits).view(np.float32)
