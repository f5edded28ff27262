"""Examples of answers, made from their schemas: each field by its own example, its name, or its type."""

from collections.abc import Mapping
from typing import Any

__all__ = ["example_of"]

ID = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"
MOMENT = "2026-11-01T12:00:00Z"
FORMATS: Mapping[str, Any] = {"uuid": ID, "date-time": MOMENT, "uri": "https://example.org/"}
TYPES: Mapping[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}
NAMES: Mapping[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiJ9.…",
    "address": "203.0.113.7",
    "advice": "Open it in its own program, save it anew, and upload that copy.",
    "api_key": "aq_…",
    "characters": 52_000,
    "chunks": 64,
    "content_type": "application/pdf",
    "document_name": "handbook.pdf",
    "email": "ada@example.org",
    "message": None,
    "name": "handbook.pdf",
    "next_cursor": None,
    "pages": 20,
    "refresh_token": "aq_refresh_…",
    "score": 0.83,
    "secret": "whsec_…",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size": 480_000,
    "text": "Water flows downhill.",
    "title": "Handbook",
    "token": "aq_…",
    "url": "https://receiver.example.org/hook",
}
"""What fields of a name usually have, where the type allows it."""


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any], name: str = "") -> Any:
    """A value that the schema allows. `schemas`: what `$ref` leads to."""
    if reference := schema.get("$ref"):
        return example_of(schemas[reference.rpartition("/")[2]], schemas, name)
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    if "const" in schema:
        return schema["const"]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        if name in NAMES and NAMES[name] is None and {"type": "null"} in options:
            return None
        return example_of(next((one for one in options if one.get("type") != "null"), options[0]), schemas, name)
    if schema.get("type") == "object" or "properties" in schema:
        return {field: example_of(of, schemas, field) for field, of in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        if first := schema.get("prefixItems"):
            return [example_of(item, schemas) for item in first]
        return [example_of(schema.get("items", {}), schemas, name.removesuffix("s"))]
    return _plain(schema, name)


def _plain(schema: Mapping[str, Any], name: str) -> Any:
    kind = schema.get("type", "string")
    usual = NAMES.get(name)
    if "format" in schema and schema["format"] in FORMATS:
        return FORMATS[schema["format"]]
    if isinstance(usual, str if kind == "string" else int | float) and not isinstance(usual, bool):
        return usual
    if kind in ("integer", "number"):
        return max(schema.get("minimum", TYPES[kind]), min(schema.get("maximum", TYPES[kind]), TYPES[kind]))
    return TYPES[kind]
