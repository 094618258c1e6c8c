"""What the sections of a configuration share: their base class, weights, and the marks on their fields."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """Settings that belong together; they cannot be changed, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)


@dataclass(frozen=True)
class InWords:
    """Marks a type that has its own words in a list of settings."""

    words: str


@dataclass(frozen=True)
class DecidedByMachine:
    """Marks a setting whose ``auto`` the machine decides when a run begins: the run keeps what was decided."""
