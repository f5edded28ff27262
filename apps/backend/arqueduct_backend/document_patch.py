"""What a client may change of a document."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from arqueduct_backend.patches import MAY_BE_LEFT_OUT, Patch
from arqueduct_backend.small_json import small

__all__ = ["DocumentPatch"]


class DocumentPatch(Patch):
    """What to change of a document; what is not named stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "examples": [{"name": "handbook-2026.pdf", "metadata": {"department": "sales", "year": 2026}}],
        },
    )
    name: Annotated[str, Field(min_length=1, max_length=255), MAY_BE_LEFT_OUT] = ""
    """What cannot be shown is taken out of it, and folders before it, as with an upload."""
    title: Annotated[str | None, Field(max_length=500), MAY_BE_LEFT_OUT] = None
    """Null: as the document itself has it, when it is read the next time."""
    metadata: Annotated[dict[str, Any], AfterValidator(small), MAY_BE_LEFT_OUT] = Field(default={})
    """Replaces the whole of it. At most 16 kB as JSON, and eight levels deep."""
