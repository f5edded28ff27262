"""The multipart forms of file sets: what they look like, and what their fields say."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from arqueduct.errors import InvalidJSON
from arqueduct.naming import LABEL
from arqueduct_backend import shape
from arqueduct_backend.set_schemas import FileSetAsked

__all__ = ["ASKED", "FILES", "asked_of"]

_FILES = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "The file name of each may be a path such as `2026/march/lease.pdf`.",
}


def _form(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


ASKED = _form(
    {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": LABEL.longest,
            "pattern": LABEL.pattern,
            "examples": ["Contracts 2026"],
        },
        "description": {"type": "string", "maxLength": 2000, "examples": ["Signed ones only."]},
        "metadata": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object of at most 16 kB, and eight levels deep.",
            "examples": ['{"department": "sales"}'],
        },
        "files": _FILES,
    },
    "name",
)
FILES = _form({"files": {**_FILES, "minItems": 1}}, "files")
"""For `openapi_extra=…`."""


def asked_of(fields: Mapping[str, str]) -> FileSetAsked:
    """Raises `RequestValidationError`, `InvalidJSON`, `ComplexJSON`."""
    sent: dict[str, Any] = dict(fields)
    if "metadata" in sent:
        sent["metadata"] = _parsed(sent["metadata"])
    try:
        return FileSetAsked.model_validate(sent)
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from error


def _parsed(text: str) -> Any:
    shape.check(text.encode())
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidJSON("The field `metadata` is not valid JSON.") from None
