"""Adam (Kingma & Ba, arXiv 1412.6980): elementwise, so a tile's step needs nothing of another tile."""

from dataclasses import dataclass, field

import numpy as np

from nst_rs.arrays import Pixels

FIRST_DECAY = 0.9
# 0.99 instead of the paper's 0.999: a level runs for tens of iterations, and a memory of a thousand would never forget
# the first, largest gradients.
SECOND_DECAY = 0.99
# Far below the paper's 1e-8: the gradient of a pixel shrinks with the size of the scene, and multiplying α and β by one
# number must not change the picture. It only keeps 0/0 out.
EPSILON = 1e-20


@dataclass
class Adam:
    """The state of one picture's descent."""

    first: Pixels
    second: Pixels
    steps: int = field(default=0)

    @classmethod
    def at_rest(cls, shape: tuple[int, ...]) -> "Adam":
        """Return the state before the first step of a picture of `shape`."""
        return cls(np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def step(self, pixels: Pixels, gradient: Pixels, step_size: float) -> None:
        """Move `pixels` one step down, in place, and keep them in [0, 255].

        Works row by row, so that the temporaries stay in the cache. Clipping is a departure from the paper: a pixel
        outside the range could not be written to the map.
        """
        self.steps += 1
        first_scale = 1 - FIRST_DECAY**self.steps
        second_scale = 1 - SECOND_DECAY**self.steps
        for row in range(pixels.shape[0]):
            slope = gradient[row]
            first, second = self.first[row], self.second[row]
            first += (1 - FIRST_DECAY) * (slope - first)
            second += (1 - SECOND_DECAY) * (slope * slope - second)
            pixels[row] -= step_size * (first / first_scale) / (np.sqrt(second / second_scale) + EPSILON)
            np.clip(pixels[row], 0.0, 255.0, out=pixels[row])
