"""The machine side of a run: how a scene is cut into tiles, and what computes them."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ByteSize, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator, model_validator

from nst_rs.config.base import DecidedByMachine, InWords, Section

ELSEWHERE = ("memory", "address", "workers")
"""Keys of ``compute`` that say where a run is computed and not what comes of it: it may go on with others."""


class TilingSection(Section):
    """How the scene is cut; the objective and its gradient do not depend on it."""

    tile: Annotated[Annotated[int, Field(ge=64)] | Literal["auto"], DecidedByMachine()] = "auto"
    """Side in pixels of a tile's core. ``auto``: the one that computes the fewest pixels within the device's memory."""
    statistics: Annotated[Literal["auto", "exact", "predicted"], DecidedByMachine()] = "auto"
    """How the scene's Gram matrices are found. ``exact`` measures all tiles in every iteration before any is changed;
    ``predicted`` goes forward and back in one tile after the other, with the moments that the scene should have by
    then. ``auto`` is exact where all tiles' activations fit in memory, so that it costs no more, and predicted
    elsewhere."""
    tiles_at_once: Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], DecidedByMachine()] = "auto"
    """How many tiles go forward before they go back, at predicted statistics: the more, the better is the prediction;
    all of them keep their activations meanwhile. ``auto``: as many as there is memory for."""
    steps_per_round: int = Field(1, ge=1, le=100)
    """Steps that a tile takes at predicted statistics before the tiles meet again: with more of them there is less to
    read and write, and there are more seams."""

    @model_validator(mode="after")
    def _exact_meets_every_step(self) -> Self:
        if self.statistics == "exact" and self.steps_per_round > 1:
            raise ValueError("steps_per_round: 1 with exact statistics; more need statistics: predicted")
        return self


class ComputeSection(Section):
    """Where the run is computed, and how exactly."""

    device: Annotated[str, InWords("auto, cpu or gpu:N")] = "auto"
    """The device that computes. ``auto``: the first GPU where there is one, else the processor."""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], DecidedByMachine()] = "auto"
    """The precision of weights and activations; ``auto`` measures which is faster. Gram matrices, losses and pixels are
    float32 in any case."""
    memory: Annotated[ByteSize, InWords("bytes such as 4GB or 512MB")] | Literal["auto"] = "auto"
    """The memory that the run may take; ``auto``: half of what is free. A scene that does not fit is kept on disk,
    beside the map; with a learned style it always is, and less memory than a tile takes is refused. On a cluster this
    holds for this process, and for every worker."""
    executor: Literal["local", "dask"] = "local"
    """What computes the tiles. ``local``: this process, one after the other. ``dask``: the workers of a cluster share
    them."""
    address: Annotated[str, InWords("an address such as tcp://host:8786")] | None = None
    """The address of a Dask scheduler whose workers reach the output's folder under the
    same path. Where none is set, workers are started on this machine for the run."""
    workers: int | None = Field(None, ge=1)
    """How many workers are started, or are at ``compute.address``: ``tiling.tile: auto`` cuts for as many. Where none
    is set: one per core of this machine, one on a GPU."""

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|gpu:\d+", value):
            raise ValueError("auto, cpu or gpu:N")
        return value

    @field_validator("memory", mode="wrap")
    @classmethod
    def _an_amount(cls, value: Any, parse: ValidatorFunctionWrapHandler) -> Any:
        try:
            amount = parse(value)
        except ValidationError as error:
            raise ValueError("auto, or bytes such as 4GB or 512MB") from error
        if amount != "auto" and amount <= 0:
            raise ValueError("auto, or more than 0 bytes")
        return amount

    @model_validator(mode="after")
    def _cluster_only_with_dask(self) -> Self:
        if self.executor == "local" and (self.address or self.workers):
            raise ValueError("address and workers with executor: dask only")
        return self
