"""Adam (Kingma & Ba, arXiv 1412.6980): elementwise, so a tile's step needs nothing of another tile."""

import numpy as np

from nst_rs.arrays import Pixels
from nst_rs.optimise.iterate import Iterate, Move

FIRST_DECAY = 0.9
# 0.99 instead of the paper's 0.999: a level runs for tens of iterations, and a memory of a thousand would never forget
# the first, largest gradients.
SECOND_DECAY = 0.99
# Far below the paper's 1e-8: the gradient of a pixel shrinks with the size of the scene, and multiplying α and β by one
# number must not change the picture. It only keeps 0/0 out.
EPSILON = 1e-20


def step(iterate: Iterate, gradient: Pixels, move: Move) -> None:
    """Move the pixels one step down, in place, by about `move.size` at most, and keep them in [0, 255].

    Works row by row, so that the temporaries stay in the cache. Clipping is a departure from the paper: a pixel
    outside the range could not be written to the map.
    """
    first_scale, second_scale = 1 - FIRST_DECAY**move.number, 1 - SECOND_DECAY**move.number
    for row, slope in enumerate(gradient):
        pixels, first, second = iterate.pixels[row], iterate.first[row], iterate.second[row]
        first += (1 - FIRST_DECAY) * (slope - first)
        second += (1 - SECOND_DECAY) * (slope * slope - second)
        pixels -= move.size * (first / first_scale) / (np.sqrt(second / second_scale) + EPSILON)
        np.clip(pixels, 0.0, 255.0, out=pixels)
    iterate.take_in(move.share)
