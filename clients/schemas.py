"""What a schema of the description is in Python: its name, its type, its words."""

import keyword
import re
from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

__all__ = ["PLAIN", "Schema", "docstring", "either", "identifier", "kinds", "name_of", "told_apart", "type_of"]

Schema = Mapping[str, Any]

WIDTH = 113
"""Of a docstring, with room for its quotation marks."""

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
FORMATS = {"uuid": "UUID", "date-time": "datetime", "binary": "bytes"}


def name_of(schema: str) -> str:
    """`Page_Document_` is `PageDocument`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", schema) if part)


def identifier(name: str) -> str:
    """A name of the wire as one of Python: `from` is `from_`."""
    found = re.sub(r"\W", "_", name)
    found = f"_{found}" if found[:1].isdigit() else found
    return f"{found}_" if keyword.iskeyword(found) or found == "self" else found


def kinds(schema: Schema, prefix: str = "") -> list[str]:
    """The Python types that a value may have, None at the end; `prefix` stands before the names of models."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return either(kind for inner in schema[several] for kind in kinds(inner, prefix))
    if len(schema.get("allOf", ())) == 1:
        return kinds(schema["allOf"][0], prefix)
    if isinstance(schema.get("type"), list) and "enum" not in schema:
        return either(kind for one in schema["type"] for kind in kinds({**schema, "type": one}, prefix))
    return [_kind(schema, prefix)]


def told_apart(described: Schema) -> Schema:
    """The description without choices between an enumeration and single texts: msgspec cannot tell these apart, and
    an `OpenEnum` takes every text.
    """
    schemas = described["components"]["schemas"]
    enumerations = {f"#/components/schemas/{name}" for name, schema in schemas.items() if "enum" in schema}
    found: Schema = _told_apart(described, enumerations)
    return found


def _told_apart(part: Any, enumerations: set[str]) -> Any:
    if isinstance(part, list):
        return [_told_apart(each, enumerations) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: _told_apart(value, enumerations) for key, value in part.items()}
    several = found.get("anyOf")
    if isinstance(several, list) and any(each.get("$ref") in enumerations for each in several):
        found["anyOf"] = [each for each in several if each.get("type") != "string"]
    return found


def type_of(schema: Schema, prefix: str = "") -> str:
    """All of them, as an annotation."""
    return " | ".join(kinds(schema, prefix))


def either(several: Iterable[str]) -> list[str]:
    """Each once, None at the end."""
    return sorted(dict.fromkeys(several), key=lambda kind: kind == "None")


def docstring(text: str, indent: str) -> str:
    told = [fill(part, WIDTH - len(indent)) for part in text.strip().replace("\\", "\\\\").split("\n\n")]
    words = "\n".join(f"{indent}{line}".rstrip() for line in "\n\n".join(told).splitlines())
    return f'{indent}"""{words.strip()}"""\n'


def _kind(schema: Schema, prefix: str) -> str:
    if "$ref" in schema:
        return prefix + name_of(schema["$ref"].rsplit("/", 1)[1])
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
    match schema.get("type"):
        case "array" if schema.get("prefixItems") and len(schema["prefixItems"]) == schema.get("maxItems"):
            return f"tuple[{', '.join(type_of(each, prefix) for each in schema['prefixItems'])}]"
        case "array":
            return f"list[{type_of(schema.get('items', {}), prefix)}]"
        case "object":
            inner = schema.get("additionalProperties")
            return f"dict[str, {type_of(inner, prefix) if isinstance(inner, dict) else 'Any'}]"
        case str(kind):
            return FORMATS.get(schema.get("format", ""), PLAIN.get(kind, "Any"))
    return "Any"
