"""Bodies of PATCH: what is not named stays."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["MAY_BE_LEFT_OUT", "Patch"]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


MAY_BE_LEFT_OUT: Any = Field(json_schema_extra=_without_default)
"""Of a field whose default says nothing: left out, it is not there."""


class Patch(BaseModel):
    """What to change; what is not named stays, but something is named."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            fields = ", ".join(type(self).model_fields)
            raise PydanticCustomError("nothing_named", "Name at least one of {fields}.", {"fields": fields})
        return self
