"""A style image as the rest of the program takes it: pixels, what each of them weighs, and its share of the blend."""

from dataclasses import dataclass

import numpy as np

from nst_rs.arrays import Pixels


@dataclass(frozen=True)
class Style:
    """One of the images whose style is taken."""

    image: Pixels  # (H, W, 3) float32 RGB in [0, 255], continued to where the weight is 0
    weight: Pixels  # (H, W) float32 in [0, 1]: 0 where the picture is transparent or holds no data
    share: float = 1.0
    """Of the blend: all images' add up to one."""

    @classmethod
    def opaque(cls, image: Pixels, share: float = 1.0) -> "Style":
        """Return the style of an image, (H, W, 3), all of whose pixels count."""
        return cls(image, np.ones(image.shape[:2], np.float32), share)
