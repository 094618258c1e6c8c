"""Classes of ground with soft borders: which of them there is enough of, and each one's share of every pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nst_rs.arrays import Mask, Pixels
from nst_rs.files.storage import PixelArray, widened

SOFT = 3
"""Pixels on either side of a border over which one class gives way to the other."""


@dataclass(frozen=True)
class GroundClass:
    """A class of ground as it was found in a scene."""

    name: str
    pixels: int
    """The pixels with data in it, before any other class joined it."""
    joined: str | None
    """The class that it joined because there was too little of it; None where it stands by itself."""


def join_small(names: Sequence[str], pixels: Sequence[int], least: Sequence[int]) -> tuple[GroundClass, ...]:
    """Return the classes, of which those of fewer pixels than their `least` have joined a neighbour.

    A class joins the next one in order, the last one the one before it that stands. One class stands in any case.

    >>> [each.joined for each in join_small(["lake", "wood", "field", "rest"], [2, 90, 3, 5], [10] * 4)]
    ['wood', None, 'wood', 'wood']
    """
    held, standing = list(pixels), list(range(len(names)))
    into = list(standing)
    for number in list(standing):
        if held[number] >= least[number] or len(standing) == 1:
            continue
        place = standing.index(number)
        target = standing[place + 1] if place + 1 < len(standing) else standing[place - 1]
        held[target] += held[number]
        standing.remove(number)
        into = [target if each == number else each for each in into]
    return tuple(
        GroundClass(name, int(count), None if target == number else names[target])
        for number, (name, count, target) in enumerate(zip(names, pixels, into, strict=True))
    )


def standing_in(classes: Sequence[GroundClass]) -> npt.NDArray[np.uint8]:
    """Return class number → the number of the class that stands for it: itself, or the one that it joined.

    >>> standing_in(join_small(["lake", "rest"], [2, 90], [10, 10])).tolist()
    [1, 1]
    """
    numbers = {each.name: number for number, each in enumerate(classes)}
    return np.array([numbers[each.joined or each.name] for each in classes], np.uint8)


def shares_of(numbers: PixelArray, weight: PixelArray, chosen: Sequence[int], rows: slice) -> Pixels:
    """Return, (h, W, len(chosen)) float32 in [0, 1], the shares that the `chosen` classes have of the pixels of `rows`.

    A pixel's shares are a mean over the pixels with data within SOFT of it, nearer ones counting more; all classes'
    add up to one. They do not depend on which rows are asked for together. Where there is no data they are 0.
    """
    seen, inside = widened(rows, SOFT, weight.shape[0])
    valid = weight[seen] > 0
    number = numbers[seen]
    whole = _smoothed(valid.astype(np.float32))[inside]
    held = valid[inside]
    divisor = np.where(held, whole, np.float32(1))
    parts = [_smoothed(((number == each) & valid).astype(np.float32))[inside] / divisor for each in chosen]
    shares: Pixels = np.where(held[..., np.newaxis], np.stack(parts, axis=-1), np.float32(0))
    return shares


def depths_of(shares: PixelArray, weight: PixelArray, rows: slice, most: int) -> Pixels:
    """Return, (h, W) float32, how many pixels on every side of each of some rows are of its class, up to `most`.

    `shares`, (H, W, classes), are those of some classes; what is none of them is one more. A pixel is of the class that
    it has most of. What has no data is of no class.
    """
    seen, inside = widened(rows, most + 1, weight.shape[0])
    share = shares[seen]
    rest = 1 - share.sum(axis=-1, keepdims=True)
    number = np.concatenate([share, rest], axis=-1).argmax(axis=-1)
    number[weight[seen] == 0] = -1
    distance = _distances(_touching_others(number), most)
    return distance[inside].astype(np.float32)


def _touching_others(number: npt.NDArray[np.int_]) -> Mask:
    """Return which pixels, (H, W), have one of another class beside them; -1 is none."""
    touching = np.zeros(number.shape, np.bool_)
    height, width = number.shape
    for down, right in ((1, 0), (0, 1), (1, 1), (1, -1)):
        here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
        there = slice(down, height), slice(max(0, right), width - max(0, -right))
        differ = (number[here] != number[there]) & (number[here] >= 0) & (number[there] >= 0)
        touching[here] |= differ
        touching[there] |= differ
    return touching


def _distances(mask: Mask, most: int) -> npt.NDArray[np.uint8]:
    """Return how many rows or columns, the larger number, the next of some pixels, (H, W), is away: up to `most`."""
    distance = np.where(mask, 0, most).astype(np.uint8)
    for _ in (0, 1):
        padded = np.pad(distance, [(most, most), (0, 0)], constant_values=most)
        for away in range(-most, most + 1):
            shifted = padded[most + away : most + away + len(distance)]
            np.minimum(distance, np.maximum(shifted, abs(away)), out=distance)
        distance = distance.T.copy()
    return distance


def _smoothed(values: Pixels) -> Pixels:
    """Return sums of (H, W) values over squares of 2 SOFT + 1 pixels, weighted in a pyramid; beyond the edge lies 0.

    The weights are whole numbers, so that sums of ones are exact, and the same in any strip.
    """
    for _ in (0, 1):
        padded = np.pad(values, [(SOFT, SOFT), (0, 0)])
        sums = np.zeros_like(values)
        for at in range(2 * SOFT + 1):
            sums += np.float32(SOFT + 1 - abs(at - SOFT)) * padded[at : at + len(values)]
        values = sums.T
    return values
