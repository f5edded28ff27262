"""The module of types: what the API says and takes."""

import json
import keyword
import re
from collections.abc import Mapping

from clients.schemas import PLAIN, Schema, docstring, either, identifier, kinds, name_of, told_apart, type_of

__all__ = ["models"]

HEAD = '''"""What the API says and takes. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from arqueduct.client.calls import OpenEnum

'''


def models(described: Schema) -> str:
    """Its text, before it is formatted."""
    schemas = described["components"]["schemas"]
    used, sent = _order(schemas), _sent(described)
    text = HEAD + f"__all__ = {json.dumps(sorted(name_of(name) for name in used))}\n"
    answered = {**told_apart(described)["components"]["schemas"], **{name: schemas[name] for name in sent}}
    return text + "".join(f"\n\n{_model(name, answered[name], name in sent)}" for name in used)


def _order(schemas: Mapping[str, Schema]) -> list[str]:
    """Each after those that it needs when it is defined: enumerations, then the rest by name."""
    return sorted(schemas, key=lambda name: ("enum" not in schemas[name], name))


def _sent(described: Schema) -> set[str]:
    """Schemas that clients send, and what these are made of."""
    found: set[str] = set()
    bodies = [op.get("requestBody", {}) for methods in described["paths"].values() for op in methods.values()]
    waiting = _references(bodies)
    while waiting:
        found |= waiting
        waiting = _references([described["components"]["schemas"][name] for name in waiting]) - found
    return found


def _references(part: object) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def _model(name: str, schema: Schema, is_sent: bool) -> str:
    told = docstring(schema.get("description", schema.get("title", name)), "    ")
    if "enum" in schema:
        members = "".join(f"    {_member(value)} = {json.dumps(value)}\n" for value in schema["enum"])
        return f"class {name_of(name)}(OpenEnum):\n{told}\n{members}"
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{name_of(name)} = {type_of(schema)}\n"
    required = set(schema.get("required", ()))
    lines = [_field(key, inner, key in required, is_sent) for key, inner in schema["properties"].items()]
    return f"class {name_of(name)}(Struct, frozen=True, kw_only=True, omit_defaults=True):\n{told}\n" + "".join(lines)


def _field(key: str, schema: Schema, is_required: bool, is_sent: bool) -> str:
    """What a client leaves out is not sent; what a server leaves out is None or what the description says."""
    name, several, default = identifier(key), kinds(schema), None
    if not is_required and is_sent:
        several, default = either([*several, "UnsetType"]), "UNSET"
    elif not is_required:
        default = _default(schema, several)
        several = either([*several, "None"]) if default == "None" else several
    if name != key:
        options = [f"default={default}"] if default else []
        default = f"field({', '.join([*options, f'name={json.dumps(key)}'])})"
    default = f" = {default}" if default else ""
    told = docstring(schema["description"], "    ") if "description" in schema else ""
    return f"    {name}: {_quoted(' | '.join(several))}{default}\n{told}"


def _default(schema: Schema, several: list[str]) -> str:
    """What is there when the server leaves it out; a text is no member of an enumeration of its own."""
    told = schema.get("default")
    is_plain = all(kind in PLAIN.values() or kind.startswith("Literal[") for kind in several)
    return repr(told) if is_plain and isinstance(told, str | int | float | bool) else "None"


def _quoted(kind: str) -> str:
    """As text: what it names may be defined below."""
    is_model = re.search(r"\b(?!UUID|None|Any|UnsetType|Literal)[A-Z]\w+", re.sub(r"Literal\[[^\]]*\]", "", kind))
    return json.dumps(kind) if is_model else kind


def _member(value: str) -> str:
    name = re.sub(r"\W", "_", str(value)).upper()
    return f"{name}_" if keyword.iskeyword(name) or name[:1].isdigit() else name
