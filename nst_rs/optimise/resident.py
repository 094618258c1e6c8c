"""The protocol of rounds whose states lie on the device that computes: nothing of a picture's size leaves it.

Implemented where the device's library is imported: nst_rs/neural/resident.py.
"""

from collections.abc import Callable
from typing import Protocol

from nst_rs.objective.problem import Problem
from nst_rs.optimise.rounds import Round
from nst_rs.optimise.state import State


class ResidentRound(Round[State], Protocol):
    """A round from state to state, both on the device."""

    def take(self, state: State) -> State:
        """Return a copy of a state on the device. It is read as any other one is, in windows that are copied back."""


Residence = Callable[[Problem, int], ResidentRound]
"""Makes the rounds of a problem, with the number of windows whose activations are kept."""
