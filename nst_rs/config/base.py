"""What the sections of a configuration share: their base class, weights, and the marks on their fields."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]

IN_WORDS = "x-in-words"
"""Under this key a JSON schema holds the words of :class:`InWords`."""


class Section(BaseModel):
    """Settings that belong together; they cannot be changed, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)


@dataclass(frozen=True)
class InWords:
    """Marks a type with words for its values, where a list of settings could not find better ones by itself."""

    words: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the type's JSON schema with the words in it, as pydantic asks for it."""
        return {**handler(schema), IN_WORDS: self.words}


@dataclass(frozen=True)
class DecidedByMachine:
    """Marks a setting whose ``auto`` the machine decides when a run begins: the run keeps what was decided."""
