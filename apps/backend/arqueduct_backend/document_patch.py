"""What a client may change of a document."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from arqueduct_backend.small_json import small

__all__ = ["DocumentPatch"]


def _no_default(schema: dict[str, Any]) -> None:
    """A field that may be left out, and is then not there."""
    schema.pop("default", None)


class DocumentPatch(BaseModel):
    """What to change of a document; what is not named stays."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "minProperties": 1,
            "examples": [{"name": "handbook-2026.pdf", "metadata": {"department": "sales", "year": 2026}}],
        },
    )
    name: Annotated[str, Field(min_length=1, max_length=255, json_schema_extra=_no_default)] = ""
    """What cannot be shown is taken out of it, and folders before it, as with an upload."""
    title: Annotated[str | None, Field(max_length=500, json_schema_extra=_no_default)] = None
    """Null: as the document itself has it, when it is read the next time."""
    metadata: Annotated[dict[str, Any], AfterValidator(small), Field(json_schema_extra=_no_default)] = {}
    """Replaces the whole of it. At most 16 kB as JSON, and eight levels deep."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_named", "Name at least one of name, title and metadata.")
        return self
