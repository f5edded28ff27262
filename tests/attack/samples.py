"""Requests that fit the description of an operation, to be made unfit in one place."""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["places", "request_of"]

NOBODY = "01890000-0000-7000-8000-000000000000"

FORMATS = {
    "uuid": NOBODY,
    "email": "nobody@example.org",
    "uri": "https://example.org/",
    "date-time": "2026-01-01T00:00:00Z",
}

Place = tuple[str, str]
"""Where something is put: `path`, `query`, `header` or `body`, and the name."""


def places(description: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[Place]:
    """Every parameter, and every field of a JSON body."""
    for parameter in operation.get("parameters", ()):
        yield parameter["in"], parameter["name"]
    for name in _body_schema(description, operation).get("properties", {}):
        yield "body", name


def request_of(
    description: Mapping[str, Any], path: str, operation: Mapping[str, Any], place: Place | None = None, put: Any = None
) -> dict[str, Any]:
    """Arguments for `client.request`, with `put` in one place."""
    found: dict[str, Any] = {"url": path, "params": {}, "headers": {}}
    for parameter in operation.get("parameters", ()):
        where, name = parameter["in"], parameter["name"]
        value = put if (where, name) == place else None
        if where == "path":
            text = NOBODY if value is None else str(value)
            found["url"] = found["url"].replace(f"{{{name}}}", _quoted(text))
        elif value is not None:
            found["params" if where == "query" else "headers"][name] = _plain(value) if where == "header" else value
    schema = _body_schema(description, operation)
    if schema:
        body = {name: _sample(description, schema["properties"][name]) for name in schema.get("required", ())}
        if place and place[0] == "body":
            is_list = "array" in _types(description, schema["properties"][place[1]])
            body[place[1]] = [put] if is_list else put
        found["json"] = body
    return found


def _body_schema(description: Mapping[str, Any], operation: Mapping[str, Any]) -> Mapping[str, Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return _resolved(description, content["schema"]) if content else {}


def _sample(description: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    schema = _resolved(description, schema)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("examples"):
        return schema["examples"][0]
    kind = schema.get("type")
    if kind == "array":
        return []
    if kind == "object":
        return {name: _sample(description, schema["properties"][name]) for name in schema.get("required", ())}
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return False
    return FORMATS.get(schema.get("format", ""), "water flows for ever")


def _types(description: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    schema = _resolved(description, schema)
    found = {str(schema.get("type"))}
    for part in schema.get("anyOf", ()):
        found |= _types(description, part)
    return found


def _resolved(description: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference:
        return description["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _plain(value: Any) -> bytes:
    """A header takes one line of Latin-1."""
    return str(value).replace("\0", "").encode("latin-1", "replace")
